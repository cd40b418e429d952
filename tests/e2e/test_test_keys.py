"""Test keys on the whole local stack: what an address asks for, on each channel, and no provider is called."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.model.words import MessageClass

pytestmark = pytest.mark.xdist_group("local-stack")

ACCOUNTS = {"email": "mail-ses", "sms": "sms-aws", "wecom": "wecom-app"}
CONTENTS: dict[str, dict[str, Any]] = {
    "email": {"type": "email", "subject": "Hello", "text": "Hello"},
    "sms": {"type": "sms", "text": "Hello"},
    "wecom": {"type": "text", "content": "Hello"},
}
ADDRESSES = {
    "email": ["delivered@example.com", "bounced+7@qq.com", "throttled@example.com", "unknown@example.com",
              "refused@example.com"],
    "sms": ["13800000001", "13800000002", "13800000003", "13800000004", "13800000005"],
    "wecom": ["delivered", "bounced", "throttled-1", "unknown", "refused"],
}  # fmt: skip
SENT = ["sent", "delivered"]
TIMELINES = [SENT, ["sent", "undelivered"], ["retrying", "retrying", *SENT], ["retrying", *SENT], ["failed"]]
STATUSES = ["delivered", "undelivered", "delivered", "delivered", "failed"]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def key(stack: LocalStack) -> str:
    """A test key, on a stack that has an account and templates of every class on each channel."""
    with Client(stack.url, first_key(stack)) as api:
        for channel, content in CONTENTS.items():
            [entry] = read_accounts(EXAMPLES / "accounts.toml", ACCOUNTS[channel])
            api.post("/v1/accounts", account_body(entry, stack.sandboxes))
            for message_class in MessageClass:
                name = f"{channel}-{message_class}"
                body = {"id": name, "name": name, "class": message_class, "accounts": [ACCOUNTS[channel]]}
                api.post("/v1/templates", {**body, "content": content})
                api.post(f"/v1/templates/{name}/versions/1/publish", {})
        made = api.post("/v1/keys", {"name": "CI", "kind": "test", "scopes": ["send", "read"]})
        return str(made["key"])


@pytest.mark.parametrize("message_class", list(MessageClass))
@pytest.mark.parametrize("channel", list(CONTENTS))
def test_every_pattern_comes_to_its_end(stack: LocalStack, key: str, channel: str, message_class: MessageClass) -> None:
    timelines, statuses = list(TIMELINES), list(STATUSES)
    if message_class is MessageClass.MARKETING:
        timelines[3], statuses[3] = ["unknown"], "unknown"
    with Client(stack.url, key) as api:
        before = api.get("/v1/balance")
        recipients = [{"to": address} for address in ADDRESSES[channel]]
        sent = api.send({"template": f"{channel}-{message_class}", "recipients": recipients})
        stack.drain(until_due=True, horizon_s=6 * 3600.0)
        messages = [api.get(f"/v1/messages/{each['message_id']}") for each in sent["messages"]]
        assert [[event["stage"] for event in each["timeline"]][1:] for each in messages] == timelines
        assert [each["status"] for each in messages] == statuses
        assert all(each["final"] and each["kind"] == "test" for each in messages)
        events = [event for each in messages for event in each["timeline"][1:]]
        assert {(event["account"], event["provider"]) for event in events} == {("test", "test")}
        assert {event["code"] for event in events if event.get("reason")} == {"simulated"}
        after = api.get("/v1/balance")
    assert after["accepted"] - before["accepted"] == 5 and after["in_flight"] == 0
    assert stack.outbox.count() == 0
