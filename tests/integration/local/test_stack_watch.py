"""The watch on the whole platform: it runs by its schedule, and ends what got lost."""

import json
from collections.abc import Iterator

import pytest

from local.seed import EXAMPLES, account_body, first_key
from local.stack import LocalStack
from mepush.client.api import Client
from mepush.files.accounts import read_accounts
from shared.model.clock import iso

pytestmark = pytest.mark.xdist_group("local-stack")

TEMPLATE = {
    "id": "hello",
    "name": "Hello",
    "class": "notification",
    "accounts": ["mail-smtp"],
    "content": {"type": "email", "subject": "Hello", "text": "Hello"},
}


@pytest.fixture(params=[False, True], ids=["moto", "memory"])
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=request.param) as started:
        yield started


@pytest.fixture
def api(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.url, first_key(stack)) as client:
        for entry in read_accounts(EXAMPLES / "accounts.toml"):
            client.post("/v1/accounts", account_body(entry, stack.sandboxes))
        client.post("/v1/templates", TEMPLATE)
        client.post("/v1/templates/hello/versions/1/publish", {})
        yield client


def send(api: Client, count: int, **more: object) -> list[str]:
    body = {"template": "hello", "recipients": [{"to": f"u{n}@example.com"} for n in range(count)], **more}
    return [each["message_id"] for each in api.send(body)["messages"]]


def test_a_purged_queue_leaves_nothing_open(stack: LocalStack, api: Client) -> None:
    url = json.loads(stack.outputs["QueueUrls"])["email.notification"]
    ids = send(api, 3)
    stack.client("sqs").purge_queue(QueueUrl=url)
    stack.drain()
    assert api.get("/v1/health")["balance"]["in_flight"] == 3
    stack.clock.advance(4 * 3600)
    stack.drain()
    health = api.get("/v1/health")
    assert (health["verdict"], health["in_flight_too_long"]) == ("unhealthy", 3)
    stack.clock.advance(3 * 86_400)
    stack.drain()
    message = api.get(f"/v1/messages/{ids[0]}")
    assert (message["status"], message["final"]) == ("expired", True)
    stack.clock.advance(7200)
    stack.drain()
    assert api.get("/v1/health")["verdict"] == "healthy"
    assert stack.outbox.accepted(to="u0@example.com") == 0


def test_a_deferred_message_is_left_alone_and_sent_when_it_is_due(stack: LocalStack, api: Client) -> None:
    due = stack.clock.now_ms() + 9 * 86_400_000
    [message_id] = send(api, 1, send_at=iso(due))
    stack.drain()
    for _ in range(4):
        stack.clock.advance(2 * 86_400)
        stack.drain()
    health = api.get("/v1/health")
    assert (health["verdict"], health["sweep"]["found"]) == ("healthy", {"deferred": 1})
    stack.clock.advance(86_400 + 60)
    stack.drain()
    assert api.get(f"/v1/messages/{message_id}")["status"] == "sent"
    assert stack.client("scheduler").list_schedules(GroupName=stack.outputs["ScheduleGroup"])["Schedules"] == []


def test_what_recurs_keeps_nothing_waiting_and_is_not_made_up_for() -> None:
    with LocalStack(threads=False, memory=True) as stack:
        stack.drain(until_due=True)
        assert stack.runner.invocations == {"watch": 1, "pulling": 1, "mailboxes": 1}
        stack.clock.advance(30 * 86_400)
        stack.drain(until_due=True)
        assert stack.runner.invocations == {"watch": 2, "pulling": 2, "mailboxes": 2}
        stack.clock.advance(301)
        stack.drain()
        assert stack.runner.invocations == {"watch": 3, "pulling": 2, "mailboxes": 2}
        stack.clock.advance(300)
        stack.drain()
        assert stack.runner.invocations == {"watch": 4, "pulling": 3, "mailboxes": 3}
