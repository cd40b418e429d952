"""Recalls on the whole local stack: what waits is not sent, what WeCom took is withdrawn, and too late is an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.sandbox.wecom import WecomSandbox
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.client.errors import ApiError
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNTS = {"email": "mail-ses", "wecom": "wecom-app"}
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "Hello", "text": "Hello"},
    "wecom": {"type": "text", "content": "Hello {{ name }}"},
}
SAMPLES: dict[str, dict[str, str]] = {"email": {}, "wecom": {"name": "all"}}
DAY_S = 86_400


@dataclass
class Platform:
    """A stack that does nothing by itself, with an account and a template of notifications for each channel."""

    stack: LocalStack
    api: Client
    key: str

    def send(self, channel: str, *to: str, name: str = "all", **fields: Any) -> dict[str, Any]:
        body = {"template": channel, "recipients": [{"to": each} for each in to], **fields}
        return self.api.send(body | ({"variables": {"name": name}} if channel == "wecom" else {}))

    def later(self, seconds: float) -> str:
        return datetime.fromtimestamp(self.stack.clock.now() + seconds, UTC).isoformat()

    def settle(self, seconds: float = 3 * DAY_S) -> None:
        self.stack.drain(until_due=True, horizon_s=seconds)

    def trace(self) -> None:
        """Let the stream be read, and nothing else."""
        for poller in self.stack._pollers:
            if type(poller).__name__ == "ShardPoller":
                while poller.step():
                    pass

    def recall(self, id: str, code: int = 0) -> list[dict[str, Any]]:
        """By the command, and what it answers by message."""
        ran = CliRunner().invoke(app, ["recall", id, "--url", self.stack.url, "--key", self.key, "--json"])
        assert ran.exit_code == code, ran.output
        messages: list[dict[str, Any]] = json.loads(ran.stdout)["messages"]
        return messages

    def message(self, sent: dict[str, Any], number: int = 0) -> dict[str, Any]:
        message: dict[str, Any] = self.api.get(f"/v1/messages/{sent['messages'][number]['message_id']}")
        return message

    def stages(self, sent: dict[str, Any], number: int = 0) -> list[str]:
        return [event["stage"] for event in self.message(sent, number)["timeline"]]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack:
        key = first_key(stack)
        with Client(stack.url, key) as api:
            for channel, account in ACCOUNTS.items():
                [entry] = read_accounts(EXAMPLES / "accounts.toml", account)
                api.post("/v1/accounts", account_body(entry, stack.sandboxes))
                template = {"id": channel, "name": channel, "class": "notification", "accounts": [account]}
                api.post("/v1/templates", {**template, "content": CONTENTS[channel], "sample": SAMPLES[channel]})
                api.post(f"/v1/templates/{channel}/versions/1/publish", {})
            yield Platform(stack, api, key)


@pytest.fixture(autouse=True)
def balanced(platform: Platform) -> Iterator[None]:
    """After each test nothing is in flight, and no fault is left."""
    yield
    for sandbox in platform.stack.sandboxes.values():
        sandbox.faults.clear()
    platform.settle()
    assert platform.api.get("/v1/balance")["in_flight"] == 0


def test_what_is_queued_is_not_sent(platform: Platform) -> None:
    before = platform.stack.outbox.count("ses")
    sent = platform.send("email", *(f"q{n}@example.com" for n in range(150)))
    platform.trace()
    found = platform.recall(sent["request_id"])
    assert {(m["result"], m["before"], m["status"]) for m in found} == {("recalled", "queued", "recalled")}
    assert [m["message_id"] for m in found] == [m["message_id"] for m in sent["messages"]]
    # It is told at once, before anybody has the envelope in hand.
    platform.trace()
    assert platform.message(sent)["status"] == "recalled" and platform.api.get("/v1/balance")["in_flight"] == 0
    platform.settle()
    assert platform.stack.outbox.count("ses") == before
    message = platform.message(sent, 149)
    assert [event["stage"] for event in message["timeline"]] == ["accepted", "recalled"] and message["final"]
    key_id = platform.key.split("_")[2]
    assert f"Recalled with the key: {key_id}" in message["timeline"][1]["text"]
    assert platform.recall(sent["request_id"]) == found


def test_one_message_of_a_request_is_recalled_and_the_others_are_sent(platform: Platform) -> None:
    before = platform.stack.outbox.count("ses")
    sent = platform.send("email", "one@example.com", "two@example.com", "three@example.com")
    platform.trace()
    [found] = platform.recall(sent["messages"][1]["message_id"].lower())
    assert (found["result"], found["message_id"]) == ("recalled", sent["messages"][1]["message_id"])
    platform.settle()
    assert [platform.message(sent, number)["status"] for number in range(3)] == ["sent", "recalled", "sent"]
    assert platform.stack.outbox.count("ses") == before + 2


@pytest.mark.parametrize("seconds", [600, 2 * DAY_S])
def test_what_is_deferred_is_not_sent(platform: Platform, seconds: int) -> None:
    before = platform.stack.outbox.count("ses")
    sent = platform.send("email", "later@example.com", send_at=platform.later(seconds))
    platform.trace()
    [found] = platform.recall(sent["request_id"])
    assert (found["result"], found["before"]) == ("recalled", "deferred")
    platform.settle()
    assert platform.stages(sent) == ["accepted", "deferred", "recalled"]
    assert platform.stack.outbox.count("ses") == before


def test_what_is_tried_again_is_not_sent(platform: Platform) -> None:
    before = platform.stack.outbox.count("ses")
    platform.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=1))
    sent = platform.send("email", "again@example.com")
    platform.stack.drain()
    assert platform.message(sent)["status"] == "retrying"
    [found] = platform.recall(sent["request_id"])
    assert (found["result"], found["before"]) == ("recalled", "retrying")
    platform.settle()
    assert platform.stages(sent) == ["accepted", "retrying", "recalled"]
    assert platform.stack.outbox.count("ses") == before


def test_of_what_may_have_been_sent_it_is_not_said_that_it_was_stopped(platform: Platform) -> None:
    platform.stack.faults.add(FaultInput(provider="ses", kind="reset_after", times=1))
    sent = platform.send("email", "maybe@example.com")
    platform.stack.drain()
    [found] = platform.recall(sent["request_id"], code=1)
    assert (found["result"], found["status"]) == ("unknown", "unknown")
    assert "may have come through" in found["detail"]
    platform.settle()
    message = platform.message(sent)
    assert [event["stage"] for event in message["timeline"]] == ["accepted", "retrying", "unknown"]
    assert "A caller recalled it" in message["explanation"]
    assert platform.recall(sent["request_id"], code=1) == [found]


def test_too_late_is_an_answer(platform: Platform) -> None:
    sent = platform.send("email", "soon@example.com", "not an address")
    platform.settle()
    found, rejected = platform.recall(sent["request_id"], code=1)
    assert (found["result"], found["status"], found["before"]) == ("too_late", "sent", None)
    assert found["at"] == next(e["at"] for e in platform.message(sent)["timeline"] if e["stage"] == "sent")
    assert (rejected["result"], rejected["status"]) == ("too_late", "rejected")


def test_what_was_given_up_is_too_late_until_somebody_sends_it_again(platform: Platform) -> None:
    platform.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=-1))
    sent = platform.send("email", "dead@example.com")
    platform.settle()
    [found] = platform.recall(sent["request_id"], code=1)
    assert (found["result"], found["status"]) == ("too_late", "dead_lettered") and "discard" in found["detail"]
    platform.stack.sandboxes["ses"].faults.clear()
    before = platform.stack.outbox.count("ses")
    platform.api.post("/v1/dead-letters/redrive", {"all": True})
    platform.trace()
    [found] = platform.recall(sent["request_id"])
    assert (found["result"], found["before"]) == ("recalled", "queued")
    platform.settle()
    assert platform.stages(sent)[-3:] == ["dead_lettered", "redriven", "recalled"]
    assert platform.stack.outbox.count("ses") == before


def test_nothing_is_found_under_an_id_of_nobody(platform: Platform) -> None:
    for id in ("01JZ0000000000000000000000", "01JZ0000000000000000000000" + "A" * 16, "x" * 42):
        kind = "requests" if len(id) == 26 else "messages"
        with pytest.raises(ApiError) as caught:
            platform.api.post(f"/v1/{kind}/{id}/recall")
        assert caught.value.status == 404


def wecom(platform: Platform) -> WecomSandbox:
    sandbox = platform.stack.sandboxes["wecom"]
    assert isinstance(sandbox, WecomSandbox)
    return sandbox


def test_wecom_takes_back_what_it_showed(platform: Platform) -> None:
    sent = platform.send("wecom", "zhangsan", "lisi", name="meeting")
    platform.settle()
    [id] = {
        e["provider_message_id"] for n in (0, 1) for e in platform.message(sent, n)["timeline"] if e["stage"] == "sent"
    }
    # One message of what went out in one piece is not taken back from all.
    [found] = platform.recall(sent["messages"][0]["message_id"], code=1)
    assert found["result"] == "too_late" and "recall the whole request" in found["detail"]
    assert wecom(platform).recalled == set()
    asked = wecom(platform).calls["message/recall"]
    answers = platform.recall(sent["request_id"])
    assert {(m["result"], m["status"]) for m in answers} == {("withdrawn", "withdrawn")}
    shown = [d for d in platform.stack.outbox.all("app") if d.id == id]
    assert len(shown) == 2 and all(d.withdrawn for d in shown)
    assert wecom(platform).recalled == {id} and wecom(platform).calls["message/recall"] == asked + 1
    # Before the trace knows, it may be asked again, which does no harm.
    assert {m["result"] for m in platform.recall(sent["request_id"])} == {"withdrawn"}
    platform.settle()
    message = platform.message(sent)
    assert [event["stage"] for event in message["timeline"]] == ["accepted", "sent", "withdrawn"]
    assert (message["status"], message["final"]) == ("withdrawn", True)
    asked = wecom(platform).calls["message/recall"]
    assert {m["result"] for m in platform.recall(sent["request_id"])} == {"withdrawn"}
    assert wecom(platform).calls["message/recall"] == asked


def test_wecom_takes_nothing_back_after_a_day(platform: Platform) -> None:
    sent = platform.send("wecom", "wangwu", name="yesterday")
    platform.settle()
    platform.stack.clock.advance(DAY_S + 60)
    [found] = platform.recall(sent["request_id"], code=1)
    assert (found["result"], found["status"]) == ("too_late", "sent") and "40058" in found["detail"]
    assert platform.stages(sent) == ["accepted", "sent"]


def test_a_provider_that_does_not_answer_is_asked_again_by_who_wants_to_know(platform: Platform) -> None:
    sent = platform.send("wecom", "zhaoliu", name="lost")
    platform.settle()
    platform.stack.faults.add(FaultInput(provider="app", kind="reset_before", at="message/recall"))
    [found] = platform.recall(sent["request_id"], code=1)
    assert found["result"] == "in_progress" and "Ask again" in found["detail"]
    [found] = platform.recall(sent["request_id"])
    assert found["result"] == "withdrawn"


def test_messages_of_test_keys_are_recalled_by_them_and_no_others(platform: Platform) -> None:
    key = platform.api.post("/v1/keys", {"name": "CI", "kind": "test", "scopes": ["send", "read"]})["key"]
    live = platform.send("email", "live@example.com", send_at=platform.later(3600))
    with Client(platform.stack.url, key) as api:
        played = api.send({"template": "email", "to": "delivered@example.com", "send_at": platform.later(3600)})
        platform.trace()
        [found] = api.post(f"/v1/requests/{played['request_id']}/recall")["messages"]
        assert found["result"] == "recalled"
        with pytest.raises(ApiError) as caught:
            api.post(f"/v1/requests/{live['request_id']}/recall")
        assert caught.value.status == 403
    platform.settle()
    assert platform.stages(played)[-1] == "recalled" and platform.stages(live)[-1] == "sent"
