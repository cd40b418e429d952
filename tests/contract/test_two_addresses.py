"""A name with two addresses, of which the first stays silent: each provider reaches the second."""

from contextlib import closing
from typing import Any

import pytest

from shared.model.outcome import Sent
from shared.net.network import Network
from shared.providers.base import Tools
from shared.providers.registry import build_provider
from shared.providers.table import PROVIDERS
from shared.store.tokens import MemoryTokenCache
from tests.contract.faulty import FaultySandboxes
from tests.unit.shared.net.listeners import silent
from tests.unit.shared.net.resolver import Resolver


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_silent_address_does_not_hide_a_live_one(
    name: str, faulty: FaultySandboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = faulty.provider(name)
    settings = made._settings.model_dump()
    where = "host" if name == "smtp" else "endpoint"
    settings[where] = settings[where].replace("127.0.0.1", "localhost")
    secret = {key: value.get_secret_value() for key, value in getattr(made, "_secret", None) or () if value}
    tools = Tools(faulty.clock, MemoryTokenCache(faulty.clock), "acme/two", Network(loopback=True))
    port = settings["port"] if name == "smtp" else int(settings[where].rpartition(":")[2])
    Resolver(monkeypatch, {"localhost": [["127.0.0.2", "127.0.0.1"]]})
    with silent("127.0.0.2", port), closing(build_provider(settings, secret, tools)) as provider:
        assert provider.verify().ok
        [outcome] = provider.send([faulty.message(name)])
    assert isinstance(outcome, Sent)
