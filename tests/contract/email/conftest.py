"""Fixtures for the email providers: messages, and SMTP providers that are closed afterwards."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.sandbox.smtp import SmtpSandbox
from shared.providers.base import Outgoing
from shared.providers.email.smtp import provider as smtp
from tests.contract.email.support import email, tools
from tests.fakes import FakeClock


@pytest.fixture
def outgoing() -> Callable[..., Outgoing]:
    """Make messages with ids of their own."""
    serial = itertools.count(1)
    return lambda to="zhang.san@example.com", **changes: email(next(serial), to, **changes)


@pytest.fixture
def smtp_provider(clock: FakeClock) -> Iterator[Callable[..., smtp.SmtpProvider]]:
    """Make providers that send through a sandbox, or unencrypted to a port."""
    made: list[smtp.SmtpProvider] = []

    def make(server: SmtpSandbox | int, password: str | None = None, **changes: Any) -> smtp.SmtpProvider:
        settings: dict[str, Any] = {
            "provider": "smtp",
            "host": "127.0.0.1",
            "port": server if isinstance(server, int) else server.port,
            "security": "none" if isinstance(server, int) else server.security,
            "from_address": "notice@example.com",
        }
        if isinstance(server, SmtpSandbox) and server.security != "none":
            settings["ca_pem"] = server.ca_pem
        secret = smtp.Secret.model_validate({"password": password})
        made.append(smtp.build(smtp.Settings.model_validate(settings | changes), secret, tools(clock)))
        return made[-1]

    yield make
    for provider in made:
        provider.close()
