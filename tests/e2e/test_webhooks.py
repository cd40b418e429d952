"""Webhooks on the whole local stack: from a message to an endpoint of the tenant, verified by others' code."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from local.sandbox.ses_receipts import SIMULATOR
from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.webhooks import verify
from mepush.files.accounts import read_accounts
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.xdist_group("local-stack")

LETTER = {"type": "email", "subject": "Sale", "text": "Everything must go, {{ name }}."}
DAY_S = 86_400


class Platform:
    """A stack with an account of SES and a template."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self._http = httpx.Client(
            base_url=stack.url, headers={"Authorization": f"Bearer {first_key(stack)}"}, timeout=30
        )
        body = next(each for each in read_accounts(EXAMPLES / "accounts.toml") if each["id"] == "mail-ses")
        self.call("POST", "/v1/accounts", account_body(body, stack.sandboxes))
        template = {"id": "letter", "name": "Letter", "class": "notification", "accounts": ["mail-ses"]}
        self.call("POST", "/v1/templates", {**template, "content": LETTER, "sample": {"name": "Ada"}})
        self.call("POST", "/v1/templates/letter/versions/1/publish", {})

    def call(self, method: str, path: str, body: Any = None, status: int | None = None, **query: Any) -> Any:
        answer = self._http.request(method, path, json=body, params=query)
        assert answer.is_success if status is None else answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def hook(self, url: str | None, id: str = "mine", **more: Any) -> Any:
        return self.call("POST", "/v1/webhooks", {"id": id, "url": url, **more})

    def send(self, *to: str, **more: Any) -> list[str]:
        recipients = [{"to": each, "variables": {"name": "Secret Name"}, **more} for each in to]
        answer = self.call("POST", "/v1/messages", {"template": "letter", "recipients": recipients})
        return [each["message_id"] for each in answer["messages"]]

    def drain(self, horizon_s: float = 600) -> None:
        self.stack.drain(20_000, until_due=True, horizon_s=horizon_s)

    def deliveries(self, id: str = "mine", **query: Any) -> list[Any]:
        found: list[Any] = self.call("GET", f"/v1/webhooks/{id}/deliveries", **query)["deliveries"]
        return found

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def platform() -> Iterator[Platform]:
    with LocalStack(threads=False, memory=True) as stack, closing(Platform(stack)) as it:
        yield it


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as it:
        yield it


def _events(receiver: Receiver) -> list[Any]:
    return [json.loads(each.body) for each in receiver.posted]


def test_each_end_and_each_receipt_comes_signed_and_in_an_order(platform: Platform, receiver: Receiver) -> None:
    made = platform.hook(receiver.url)
    [delivered, bounced] = platform.send(f"success+x@{SIMULATOR}", f"late+x@{SIMULATOR}", reference="order-7")
    platform.drain(4000)

    offset = platform.stack.clock.now() - datetime.now(UTC).timestamp()
    by_message: dict[str, list[Any]] = {delivered: [], bounced: []}
    for posted in receiver.posted:
        # The clock of the stack was moved, and neither verifier knows.
        age = datetime.now(UTC).timestamp() + offset - float(posted.headers["webhook-timestamp"])
        assert 0 <= age <= 4100
        event = verify(posted.body, posted.headers, made["secret"], tolerance=10_000)
        signed = Verifier(made["secret"]).sign(
            posted.headers["webhook-id"],
            datetime.fromtimestamp(int(posted.headers["webhook-timestamp"]), UTC),
            posted.body.decode(),
        )
        assert signed == posted.headers["webhook-signature"]
        by_message[event["data"]["message_id"]].append(event)
        assert b"Secret Name" not in posted.body and b"success+x" not in posted.body
        assert event["data"]["reference"] == "order-7" and event["data"]["to"].endswith(SIMULATOR)
    types = {
        id: [e["type"] for e in sorted(events, key=lambda e: e["data"]["sequence"])]
        for id, events in by_message.items()
    }
    assert types == {
        delivered: ["message.sent", "message.delivered"],
        bounced: ["message.sent", "message.delivered", "message.undelivered"],
    }
    last = max(by_message[bounced], key=lambda e: e["data"]["sequence"])["data"]
    assert (last["reason"], last["blame"]) == ("address_unknown", "recipient")
    assert last["reason_text"] and last["reason_text_zh"]
    assert len(set(receiver.ids())) == len(receiver.ids()) == 5
    assert {each["state"] for each in platform.deliveries()} == {"delivered"}


def test_ends_before_any_provider_come_too(platform: Platform, receiver: Receiver) -> None:
    platform.hook(receiver.url, types=["message.rejected", "message.suppressed", "message.accepted"])
    platform.call("POST", "/v1/suppressions", {"channel": "email", "address": "no@example.com"})
    platform.drain(60)
    platform.stack.skip(20)
    platform.send("no@example.com", "not an address")
    platform.drain()

    assert sorted(each["type"] for each in _events(receiver)) == [
        *("message.accepted", "message.rejected", "message.suppressed"),
    ]


def test_what_fails_is_tried_again_under_its_id_and_listed(platform: Platform, receiver: Receiver) -> None:
    secret = platform.hook(receiver.url, types=["message.sent"])["secret"]
    replies: list[Any] = [500, None, (301, {"location": receiver.url}), 200]
    receiver.answer = lambda posted: replies.pop(0)
    platform.send("ada@example.com")
    platform.drain(2 * 3600)

    assert len(receiver.posted) == 4 and len(set(receiver.ids())) == 1
    # Each try is signed anew, at its own time, over the same body.
    assert all(_fits(posted, secret) for posted in receiver.posted)
    assert len({posted.body for posted in receiver.posted}) == 1
    assert len({posted.headers["webhook-signature"] for posted in receiver.posted}) == 4
    stamps = [int(each.headers["webhook-timestamp"]) for each in receiver.posted]
    waits = [b - a for a, b in pairwise(stamps)]
    assert 5 <= waits[0] <= 9 and 300 <= waits[1] <= 370 and 1800 <= waits[2] <= 2200
    [kept] = platform.deliveries()
    assert (kept["state"], kept["tries"]) == ("delivered", 4)
    assert [(each["status"], each["error"]) for each in kept["attempts"]] == [
        *((500, None), (None, "broken_off"), (301, None), (200, None)),
    ]


def test_an_endpoint_that_is_gone_is_disabled_and_the_others_hear_of_it(platform: Platform, receiver: Receiver) -> None:
    with receiving() as other:
        platform.hook(receiver.url)
        platform.hook(other.url, "other", types=["endpoint.disabled"])
        receiver.answer = lambda posted: 410
        platform.send("ada@example.com")
        platform.drain()
        [told] = _events(other)

    assert (told["type"], told["data"]["webhook_id"], told["data"]["why"]) == ("endpoint.disabled", "mine", "gone")
    found = platform.call("GET", "/v1/webhooks/mine")
    assert (found["state"], found["stopped"]) == ("disabled", "gone")
    [record] = [each for each in platform.call("GET", "/v1/audit")["records"] if each["action"] == "stop_webhook"]
    assert (record["who"], record["target"]) == ("webhooks", "webhook/mine")
    # What comes meanwhile is held.
    platform.send("bob@example.com")
    platform.drain()
    assert sorted(each["state"] for each in platform.deliveries()) == ["failed", "held", "held", "held"]
    assert len(receiver.posted) == 1


def test_five_days_of_failures_pause_it_and_a_replay_brings_everything(platform: Platform, receiver: Receiver) -> None:
    platform.hook(receiver.url, types=["message.sent"])
    receiver.answer = lambda posted: 500
    began = datetime.fromtimestamp(platform.stack.clock.now(), UTC)
    sent = []
    for _ in range(6):
        sent += platform.send("ada@example.com")
        platform.drain(DAY_S)

    found = platform.call("GET", "/v1/webhooks/mine")
    assert (found["state"], found["stopped"]) == ("paused", "failures")
    tried = len(receiver.posted)
    sent += platform.send("bob@example.com")
    platform.drain()
    assert len(receiver.posted) == tried
    receiver.answer = lambda posted: 200
    receiver.posted.clear()
    after = (began - timedelta(hours=1)).isoformat()
    platform.call("POST", "/v1/webhooks/mine/replay", {"after": after}, status=409)
    platform.call("PATCH", "/v1/webhooks/mine", {"state": "active"})
    queued = platform.call("POST", "/v1/webhooks/mine/replay", {"after": after})
    platform.drain(4 * DAY_S)

    assert queued["cursor"] is None and queued["queued"] >= 1
    assert {each["data"]["message_id"] for each in _events(receiver)} == set(sent)
    assert len(receiver.ids()) == len(set(receiver.ids()))


def test_events_on_the_bus(platform: Platform) -> None:
    platform.call("POST", "/v1/webhooks", {"id": "bus", "bus": True, "types": ["message.sent"]})
    [message_id] = platform.send("ada@example.com")
    put: list[Any] = []
    taken = platform.stack.buses.put

    def seen(request: Any) -> dict[str, Any]:
        put.extend(request["Entries"])
        return taken(request)

    with patch.object(platform.stack.buses, "put", seen):
        platform.drain()

    [entry] = put
    detail = json.loads(entry["Detail"])
    assert (entry["Source"], entry["DetailType"]) == ("mepush", "mePush message")
    assert (detail["type"], detail["data"]["message_id"]) == ("message.sent", message_id)
    [kept] = platform.deliveries("bus")
    assert (kept["id"], kept["state"]) == (detail["id"], "delivered")


def test_a_test_event_and_a_changed_secret(platform: Platform, receiver: Receiver) -> None:
    first = platform.hook(receiver.url)["secret"]
    sent = platform.call("POST", "/v1/webhooks/mine/test")
    platform.drain()
    second = platform.call("POST", "/v1/webhooks/mine/rotate", {"overlap_seconds": 3600})["secret"]
    platform.stack.skip(11)
    platform.call("POST", "/v1/webhooks/mine/test")
    platform.drain()
    platform.stack.skip(3601)
    platform.call("POST", "/v1/webhooks/mine/test")
    platform.drain()

    one, both, last = receiver.posted
    assert one.headers["webhook-id"] == sent["delivery"]
    fits = [[_fits(posted, secret) for secret in (first, second)] for posted in (one, both, last)]
    assert fits == [[True, False], [True, True], [False, True]]
    assert "secret" not in platform.call("GET", "/v1/webhooks/mine")


def _fits(posted: Any, secret: str) -> bool:
    try:
        verify(posted.body, posted.headers, secret, tolerance=10 * DAY_S)
    except ValueError:
        return False
    return True
