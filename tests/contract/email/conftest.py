"""Fixtures for the email providers: a clock that tests move, and providers that are closed afterwards."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.sandbox.ses import SesSandbox
from local.sandbox.smtp import SmtpSandbox
from shared.model.content import RenderedEmail
from shared.providers.base import Outgoing, Token, Tools
from shared.providers.email import ses, smtp


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ms = 1_760_000_000_000

    def now_ms(self) -> int:
        return self.ms


class NoTokens:
    """Email providers use no tokens."""

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        raise AssertionError("not for email")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def tools(clock: MovableClock) -> Tools:
    return Tools(clock, NoTokens(), "default/mail")


@pytest.fixture
def outgoing() -> Callable[..., Outgoing]:
    """Make messages with ids of their own."""
    serial = itertools.count(1)

    def make(to: str = "zhang.san@example.com", subject: str = "你好", html: str = "<p>Hi</p>") -> Outgoing:
        return Outgoing(f"01K0000000000000000000{next(serial):04d}", to, RenderedEmail(subject, html, "Hi"))

    return make


@pytest.fixture
def smtp_provider(tools: Tools) -> Iterator[Callable[..., smtp.SmtpProvider]]:
    """Make providers that send through a sandbox (or a port)."""
    made: list[smtp.SmtpProvider] = []

    def make(server: SmtpSandbox | int, password: str | None = None, **changes: Any) -> smtp.SmtpProvider:
        settings: dict[str, Any] = {
            "provider": "smtp",
            "host": "127.0.0.1",
            "port": server if isinstance(server, int) else server.port,
            "security": "none" if isinstance(server, int) else server.security,
            "from_address": "notice@example.com",
        }
        if settings["security"] != "none" and isinstance(server, SmtpSandbox):
            settings["ca_pem"] = server.ca_pem
        secret = smtp.Secret.model_validate({"password": password})
        made.append(smtp.build(smtp.Settings.model_validate(settings | changes), secret, tools))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def ses_provider(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ses.SesProvider]]:
    """Make providers that send through a sandbox (or to an address)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSANDBOX")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-aws-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    made: list[ses.SesProvider] = []

    def make(server: SesSandbox | str, **changes: Any) -> ses.SesProvider:
        settings: dict[str, Any] = {
            "provider": "ses",
            "from_address": "notice@example.com",
            "endpoint": server if isinstance(server, str) else server.url,
        }
        made.append(ses.build(ses.Settings.model_validate(settings | changes), ses.Secret(), tools))
        return made[-1]

    yield make
    for provider in made:
        provider.close()
