"""The page on adding a provider, carried out: its code is registered, configured, sent through and traced."""

import logging
import re
import sys
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from local.sandbox.base import Fault, HttpSandbox
from mepush.files.accounts import find_secret, read_accounts
from shared.dispatch.accounts import Accounts
from shared.model.accounts import Account
from shared.model.content import ApprovedTemplate, RenderedSms, SmsContent
from shared.model.events import EventRow
from shared.model.words import Channel, MessageClass
from shared.net.network import Network
from shared.providers import registry
from shared.providers.base import Provider, TokenCache, Tools
from shared.providers.declared import check, usable_by
from shared.providers.table import PROVIDERS, spec_of
from tests import samples
from tests.fakes import FakeClock, logged
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"
TOKEN = "pigeon-token"
NUMBERS = [r.address for r in samples.recipients(5, "sms")]


@cache
def blocks() -> dict[str, str]:
    """The page's Python code by the path in the first line of each block."""
    found = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return dict(found)


def module(monkeypatch: pytest.MonkeyPatch, path: str) -> ModuleType:
    """Import a block of the page as the module that it would be."""
    made = ModuleType(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    exec(compile(blocks()[path], f"{PAGE.name}: {path}", "exec"), made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's provider, registered by the page's own line."""
    # As importing would have it: a package is there before its modules are, and holds them.
    package = ModuleType("shared.providers.sms.pigeon")
    monkeypatch.setitem(sys.modules, package.__name__, package)
    for name in ("limits", "provider", "__init__"):
        setattr(package, name, module(monkeypatch, f"shared/providers/sms/pigeon/{name}.py"))
    spec = spec_of(literal_eval(blocks()["shared/providers/table.py"]))
    # Filled in place: those who imported the table by its name hold this very dict.
    monkeypatch.setitem(PROVIDERS, spec.name, spec)
    _forget()
    yield
    _forget()


def _forget() -> None:
    registry.provider_module.cache_clear()
    registry.settings_adapter.cache_clear()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSandbox]:
    """The page's sandbox, listening."""
    made: HttpSandbox = module(monkeypatch, "local/sandbox/pigeon.py").PigeonSandbox(TOKEN)
    with made:
        yield made


class NoTokens(TokenCache):
    """For providers that need none."""

    def get(self, key: str, fetch: Any, rejected: str | None = None) -> str:
        raise AssertionError("no token is needed")


class Secrets:
    """Holds one secret."""

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]:
        return {"token": TOKEN}


def settings(sandbox: HttpSandbox) -> dict[str, Any]:
    return {"provider": "pigeon", "sender": "Example", "endpoint": sandbox.url}


@dataclass(frozen=True, slots=True)
class Post:
    """A dispatcher of texts whose account is a real one of the page's provider."""

    harness: DispatchHarness
    provider: Provider

    def send(self, count: int, message_class: MessageClass = MessageClass.NOTIFICATION) -> dict[str, EventRow]:
        """Dispatch one envelope; returns the event that each number came to, by number."""
        recipients = samples.recipients(count, "sms", code="123456")
        one = samples.envelope(count, Channel.SMS, recipients=recipients, message_class=message_class)
        assert self.harness.run(one) == []
        [record] = self.harness.records
        return {NUMBERS[e.index]: e for e in record.events if e.stage != "accepted"}


@contextmanager
def post(sandbox: HttpSandbox) -> Iterator[Post]:
    def accounts(w: DispatchHarness) -> Accounts:
        # The world's own accounts play scripts; these build the provider that the registry finds.
        return Accounts(w, Secrets(), NoTokens(), w.clock, Network(loopback=True))

    with harness(accounts=accounts, channel=Channel.SMS) as w:
        w.add_template(samples.SMS)
        account = w.accounts["main"] = Account(
            id="main", tenant="default", name="Pigeon", channel=Channel.SMS, provider="pigeon",
            settings=settings(sandbox), created_at=0, updated_at=0,
        )  # fmt: skip
        provider = w.parts.accounts.provider(account)
        try:
            yield Post(w, provider)
        finally:
            provider.close()


def test_the_page_holds_the_code_that_this_file_carries_out() -> None:
    folder = {f"shared/providers/sms/pigeon/{name}.py" for name in ("__init__", "limits", "provider")}
    assert blocks().keys() == folder | {"shared/providers/table.py", "local/sandbox/pigeon.py"}


def test_settings_are_told_apart_by_the_providers_name() -> None:
    found = registry.settings_adapter().validate_python({"provider": "pigeon", "sender": "Example"})
    assert type(found) is registry.provider_module("pigeon").Settings
    assert found.model_dump() == {
        "provider": "pigeon",
        "sender": "Example",
        "endpoint": "https://api.pigeon.example",
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sender": "no blanks"}, "sender"),
        ({"endpoint": "https://pigeon.example.evil.test"}, "endpoint"),
        ({"endpoint": "http://api.pigeon.example"}, "endpoint"),
        ({"token": "x"}, "token"),
    ],
)
def test_settings_that_do_not_fit_are_named(change: dict[str, str], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        registry.settings_adapter().validate_python({"provider": "pigeon", "sender": "Example"} | change)
    assert [e["loc"] for e in raised.value.errors()] == [("pigeon", field)]


def test_the_limits_of_texts_hold_for_it() -> None:
    assert usable_by(samples.SMS, "pigeon") is None
    approved = SmsContent(tencent=ApprovedTemplate(template_id="1"))
    assert usable_by(approved, "pigeon") == "Pigeon sends texts: give text"
    assert "for sms" in str(usable_by(samples.EMAIL, "pigeon"))
    assert check(RenderedSms("x" * 1600, None, ()), "pigeon", MessageClass.NOTIFICATION) == []
    [(field, _)] = check(RenderedSms("x" * 1601, None, ()), "pigeon", MessageClass.NOTIFICATION)
    assert field == "text"


def test_its_outcomes_reach_the_events(sandbox: HttpSandbox, caplog: pytest.LogCaptureFixture) -> None:
    sandbox.faults.add(Fault("code", code="NO_SUCH_NUMBER", to=NUMBERS[1]))
    sandbox.faults.add(Fault("code", code="SLOW_DOWN", to=NUMBERS[2]))
    sandbox.faults.add(Fault("code", code="NEVER_SEEN", to=NUMBERS[3]))
    sandbox.faults.add(Fault("code", code="NO_CREDIT", to=NUMBERS[4]))
    with caplog.at_level(logging.DEBUG), post(sandbox) as p:
        found = p.send(5)
    assert [(found[n].stage, found[n].reason, found[n].code) for n in NUMBERS] == [
        ("sent", None, None),
        ("failed", "address_unknown", "NO_SUCH_NUMBER"),
        ("retrying", "throttled", "SLOW_DOWN"),
        ("retrying", "unrecognised_answer", "NEVER_SEEN"),
        ("retrying", "balance_exhausted", "NO_CREDIT"),
    ]
    assert {(e.account, e.provider) for e in found.values()} == {("main", "pigeon")}
    [delivery] = sandbox.outbox.all()
    assert (delivery.to, delivery.data) == (NUMBERS[0], {"text": "Your code is 123456"})
    assert found[NUMBERS[0]].provider_id == delivery.id
    assert delivery.id.startswith("pg-" + samples.REQUEST)
    # Only those that may yet be sent are tried again, and none through the account that is down.
    again = [d.envelope for d in p.harness.dispatched]
    assert sorted(r.address for e in again for r in e.recipients) == NUMBERS[2:]
    assert {account for e in again for account in e.avoid} == {"main"}
    assert "code without a meaning here" in caplog.text
    assert not [secret for secret in (TOKEN, "123456", *NUMBERS) if secret in logged(caplog.records)]


@pytest.mark.parametrize(
    ("fault", "why", "code"),
    [
        (Fault("reset_after", times=-1), "connection_lost", "RemoteProtocolError"),
        (Fault("status", status=502, times=-1), "provider_error", "http_502"),
    ],
)
def test_without_an_answer_marketing_is_not_sent_again(sandbox: HttpSandbox, fault: Fault, why: str, code: str) -> None:
    sandbox.faults.add(fault)
    with post(sandbox) as p:
        found = p.send(2, MessageClass.MARKETING)
        assert p.harness.dispatched == []
    assert {(e.stage, e.reason, e.code) for e in found.values()} == {("unknown", why, code)}


def test_a_server_that_cannot_be_reached_is_tried_again(sandbox: HttpSandbox) -> None:
    with post(sandbox) as p:
        sandbox.stop()
        found = p.send(1, MessageClass.MARKETING)
    [event] = found.values()
    assert (event.stage, event.reason, event.code) == ("retrying", "connection_failed", "ConnectError")


@pytest.mark.parametrize(
    ("token", "ok", "raw_code"), [(TOKEN, True, ""), ("another", False, "BAD_TOKEN")], ids=["right", "wrong"]
)
def test_an_account_is_verified_without_a_message(sandbox: HttpSandbox, token: str, ok: bool, raw_code: str) -> None:
    tools = Tools(FakeClock(), NoTokens(), "default/main", Network(loopback=True))
    provider = registry.build_provider(settings(sandbox), {"token": token}, tools)
    found = provider.verify()
    provider.close()
    assert (found.ok, found.raw_code) == (ok, raw_code)
    assert ok or "credentials" in found.summary
    assert sandbox.outbox.count() == 0


def test_the_pages_account_is_one_that_the_command_takes(tmp_path: Path) -> None:
    [text] = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    path = tmp_path / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    [entry] = read_accounts(path)
    assert entry["id"] == "sms-pigeon"
    assert registry.settings_adapter().validate_python(entry["settings"]).provider == "pigeon"
    assert find_secret(entry, {}, {"PIGEON_TOKEN": TOKEN}) == {"token": TOKEN}
