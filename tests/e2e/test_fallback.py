"""Fallback on the whole local stack: WeCom, then SMS, then email, and each message says what became of the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNTS = {"email": "mail-ses", "sms": "sms-aws", "wecom": "wecom-app"}
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "{{ code }}", "text": "{{ code }}"},
    "sms": {"type": "sms", "text": "{{ code }}"},
    "wecom": {"type": "text", "content": "{{ code }}"},
}
NEXT = {"email": None, "sms": {"template": "email"}, "wecom": {"template": "sms", "after_minutes": 2}}


@dataclass
class Platform:
    """A stack that does nothing by itself, with a template for codes on each channel, and a key of each kind."""

    stack: LocalStack
    live: str
    test: str

    def send(self, to: str, sms: str, email: str, key: str = "") -> list[dict[str, Any]]:
        """One request; all its messages, from the first to the last, as the API tells them afterwards."""
        with Client(self.stack.url, key or self.live) as api:
            person = {"to": to, "fallback": {"sms": sms, "email": email}}
            sent = api.send({"template": "wecom", "recipients": [person], "variables": {"code": "1234"}})
            self.stack.drain(until_due=True, horizon_s=7200.0)
            whole = api.get(f"/v1/requests/{sent['request_id']}")
            by_id = {each["message_id"]: each for each in whole["messages"]}
            chain, id = [], sent["messages"][0]["message_id"]
            while id:
                chain.append(by_id.pop(id))
                id = (chain[-1].get("falls_back_to") or {}).get("message_id", "")
            assert not by_id
            assert [each.get("fallback_of") for each in chain] == [None, *(m["message_id"] for m in chain[:-1])]
            assert api.get("/v1/balance")["in_flight"] == 0
        return chain


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        live = first_key(stack)
        with Client(stack.url, live) as api:
            for channel in ("email", "sms", "wecom"):
                [entry] = read_accounts(EXAMPLES / "accounts.toml", ACCOUNTS[channel])
                api.post("/v1/accounts", account_body(entry, stack.sandboxes))
                template = {"id": channel, "name": channel, "class": "verification", "accounts": [ACCOUNTS[channel]]}
                more = {"content": CONTENTS[channel], "sample": {"code": "1"}, "fallback": NEXT[channel]}
                api.post("/v1/templates", {**template, **more})
                api.post(f"/v1/templates/{channel}/versions/1/publish", {})
            test = api.post("/v1/keys", {"name": "CI", "kind": "test", "scopes": ["send", "read"]})["key"]
        yield Platform(stack, live, str(test))


def channels(chain: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["channel"], each["status"]) for each in chain]


def test_what_wecom_takes_goes_nowhere_else(platform: Platform) -> None:
    platform.stack.outbox.clear()
    assert channels(platform.send("ann", "13800138000", "ann@example.com")) == [("wecom", "sent")]
    assert platform.stack.outbox.count() == 1


def test_who_wecom_does_not_know_gets_an_sms(platform: Platform) -> None:
    platform.stack.outbox.clear()
    platform.stack.faults.add(FaultInput(provider="app", kind="code", code="invaliduser", to="bob"))
    chain = platform.send("bob", "13800138001", "bob@example.com")
    assert channels(chain) == [("wecom", "failed"), ("sms", "sent")]
    assert [each["class"] for each in chain] == ["verification"] * 2
    ran = CliRunner().invoke(
        app,
        ["trace", chain[0]["request_id"], "--url", platform.stack.url, "--key", platform.live],
        env={"COLUMNS": "200"},
    )
    assert f"falls back to message {chain[1]['message_id']} by sms" in ran.stdout
    assert f"fallback of message {chain[0]['message_id']}" in ran.stdout


def test_a_test_key_plays_the_whole_chain(platform: Platform) -> None:
    platform.stack.outbox.clear()
    chain = platform.send("refused", "13800000005", "delivered@example.com", platform.test)
    assert channels(chain) == [("wecom", "failed"), ("sms", "failed"), ("email", "delivered")]
    assert {each["kind"] for each in chain} == {"test"} and platform.stack.outbox.count() == 0
    # An unknown outcome never falls back: the code is sent again on the same road.
    chain = platform.send("unknown", "13800000001", "delivered@example.com", platform.test)
    assert channels(chain) == [("wecom", "delivered")]


def test_what_is_not_sent_within_its_minutes_falls_back(platform: Platform) -> None:
    platform.stack.outbox.clear()
    with Client(platform.stack.url, platform.live) as api:
        api.patch("/v1/accounts/wecom-app", {"state": "disabled"})
        platform.stack.clock.advance(11)
        try:
            chain = platform.send("cy", "13800138002", "cy@example.com")
        finally:
            api.patch("/v1/accounts/wecom-app", {"state": "active"})
            platform.stack.clock.advance(11)
    assert channels(chain)[1] == ("sms", "sent") and chain[0]["status"] in ("expired", "failed")
    assert platform.stack.outbox.count() == 1


def test_the_counters_hold_both(platform: Platform) -> None:
    with Client(platform.stack.url, platform.live) as api:
        before = api.get("/v1/balance")
        platform.send("refused", "13800000001", "delivered@example.com", platform.test)
        after = api.get("/v1/balance")
    assert after["accepted"] - before["accepted"] == 2
    gained = {k: n - before["outcomes"].get(k, 0) for k, n in after["outcomes"].items()}
    assert {k: n for k, n in gained.items() if n} == {"failed": 1, "sent": 1}
