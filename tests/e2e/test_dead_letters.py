"""Dead letters on the whole local stack: from the provider's refusal to the list, back to the queue, and to an end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from local.faults import FaultInput
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LOG_FILE, LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from mepush.main import app

pytestmark = pytest.mark.xdist_group("local-stack")

MAIL = "mail-ses"
HOURS_S = 2 * 3600.0


@dataclass
class Platform:
    """A stack that does nothing by itself, with one account and a template of notifications."""

    stack: LocalStack
    api: Client
    key: str

    def fail(self, count: int) -> list[str]:
        """Send to that many people while the provider is too busy, until all are given up; returns the message ids."""
        self.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=-1))
        body = {"template": "hello", "recipients": [{"to": f"u{k}@example.com"} for k in range(count)]}
        sent = self.api.send(body)
        self.stack.drain(until_due=True, horizon_s=HOURS_S)
        self.stack.sandboxes["ses"].faults.clear()
        return [each["message_id"] for each in sent["messages"]]

    def drain(self) -> None:
        self.stack.drain(until_due=True, horizon_s=HOURS_S)

    def stages(self, message_id: str) -> list[str]:
        message = self.api.get(f"/v1/messages/{message_id}")
        return [event["stage"] for event in message["timeline"] if event["stage"] != "retrying"]

    def dlq(self, *args: str) -> Any:
        ran = CliRunner().invoke(app, ["dlq", *args, "--url", self.stack.url, "--key", self.key, "--json"])
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, receipts=False) as stack:
        key = first_key(stack)
        with Client(stack.url, key) as api:
            [entry] = read_accounts(EXAMPLES / "accounts.toml", MAIL)
            api.post("/v1/accounts", account_body(entry, stack.sandboxes))
            content = {"type": "email", "subject": "Hello", "text": "Hello"}
            template = {"id": "hello", "name": "Hello", "class": "notification", "accounts": [MAIL], "content": content}
            api.post("/v1/templates", template)
            api.post("/v1/templates/hello/versions/1/publish", {})
            yield Platform(stack, api, key)


def test_what_was_given_up_is_listed_redriven_and_sent(platform: Platform) -> None:
    ids = platform.fail(3)
    assert {tuple(platform.stages(each)) for each in ids} == {("accepted", "dead_lettered")}
    [letter] = platform.dlq("list", "--template", "hello")["dead_letters"]
    assert (letter["reason"], letter["account"], letter["recipients"]) == ("throttled", MAIL, 3)
    assert platform.dlq("redrive", "--account", MAIL) == {"letters": 1, "recipients": 3, "carried_on": 0}
    platform.drain()
    assert {tuple(platform.stages(each)) for each in ids} == {("accepted", "dead_lettered", "redriven", "sent")}
    assert all(platform.api.get(f"/v1/messages/{each}")["status"] == "sent" for each in ids)
    assert platform.stack.outbox.count("ses") == 3
    assert platform.dlq("list")["dead_letters"] == []
    balance = platform.api.get("/v1/balance")
    assert (balance["redriven"], balance["in_flight"]) == (3, 0)
    assert '"DeadLetters":[1.0]' in LOG_FILE.read_text()


def test_what_fails_again_can_be_redriven_again_or_discarded(platform: Platform) -> None:
    [message_id] = platform.fail(1)
    platform.dlq("redrive", "--all", "--yes")
    platform.stack.faults.add(FaultInput(provider="ses", kind="throttle", times=-1))
    platform.drain()
    platform.stack.sandboxes["ses"].faults.clear()
    [letter] = platform.dlq("list")["dead_letters"]
    assert letter["generation"] == 1
    platform.dlq("discard", "--id", letter["id"], "--note", "Told by phone")
    platform.drain()
    message = platform.api.get(f"/v1/messages/{message_id}")
    assert (message["status"], message["final"]) == ("discarded", True)
    assert platform.stages(message_id) == ["accepted", "dead_lettered", "redriven", "dead_lettered", "discarded"]
    assert "Told by phone" in message["timeline"][-1]["text"]
    [shown] = platform.dlq("list", "--state", "discarded")["dead_letters"]
    assert (shown["id"], shown["note"]) == (letter["id"], "Told by phone")
    assert platform.api.get("/v1/balance")["in_flight"] == 0


def test_what_its_queue_gave_up_has_an_end_and_can_be_sent(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke = platform.stack.runner.invoke

    def broken(name: str, event: Any) -> Any:
        if name == "dispatch_email":
            raise RuntimeError("the function dies")
        return invoke(name, event)

    with monkeypatch.context() as patched:
        patched.setattr(platform.stack.runner, "invoke", broken)
        sent = platform.api.send({"template": "hello", "to": "late@example.com"})
        platform.drain()
    message_id = sent["messages"][0]["message_id"]
    [letter] = platform.dlq("list")["dead_letters"]
    assert (letter["reason"], letter["account"], letter["recipients"]) == ("given_up", None, 1)
    assert platform.stages(message_id) == ["accepted", "dead_lettered"]
    platform.dlq("redrive", "--reason", "given_up")
    platform.drain()
    assert platform.stages(message_id) == ["accepted", "dead_lettered", "redriven", "sent"]


def test_what_nobody_can_read_is_a_dead_letter_within_minutes(platform: Platform) -> None:
    sqs, outputs = platform.stack.client("sqs"), platform.stack.outputs
    queue, dead = (json.loads(outputs[name])["sms.marketing"] for name in ("QueueUrls", "DeadLetterUrls"))
    began = platform.stack.clock.now()
    sqs.send_message(QueueUrl=queue, MessageBody='{"id": "x"}')
    platform.drain()
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=names)["Attributes"]
    assert sum(map(int, counts.values())) == 0
    [letter] = platform.dlq("list")["dead_letters"]
    assert (letter["reason"], letter["channel"], letter["class"]) == ("unreadable", "sms", "marketing")
    assert platform.stack.clock.now() - began < 3600
    platform.dlq("discard", "--reason", "unreadable", "--note", "not ours", "--yes")
    assert platform.dlq("list")["dead_letters"] == []
