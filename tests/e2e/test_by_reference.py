"""Messages and requests are found by the caller's own word."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from local.stack import LocalStack
from tests.e2e.shop import Shop

pytestmark = pytest.mark.xdist_group("local-stack")

QUERY = "/v1/messages/query"


class Orders(Shop):
    """Has one template."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        content = {"type": "email", "subject": "Your order", "text": "It is on its way."}
        self.template("order", "mail-smtp", "notification", content)

    def ask(self, path: str, body: Any, key: str | None = None) -> Any:
        return self.call("POST", path, body, key)

    def send(self, *people: tuple[str, str | None], key: str | None = None, **more: Any) -> tuple[str, list[str]]:
        """(request id, message ids); people: address, reference."""
        self.stack.clock.advance(1)
        recipients = [{"to": to} | ({"reference": word} if word else {}) for to, word in people]
        answer = self.ask("/v1/messages", {"template": "order", "recipients": recipients, **more}, key)
        self.stack.drain(until_due=True)
        return answer["request_id"], [each["message_id"] for each in answer["messages"]]

    def found(self, key: str | None = None, **query: Any) -> dict[str, Any]:
        page: dict[str, Any] = self.ask(QUERY, query, key)
        return page | {"messages": [each["message_id"] for each in page["messages"]]}


@pytest.fixture(scope="module")
def shop() -> Iterator[Orders]:
    with LocalStack(threads=False, memory=True, receipts=False) as stack, closing(Orders(stack)) as it:
        yield it


def test_the_messages_of_an_order_are_found_newest_first_in_pages(shop: Orders) -> None:
    word = "order #47 / 茶 🍵"
    sent = [shop.send((f"a{i}@example.com", word), ("other@example.com", "order #47"))[1][0] for i in range(5)]
    newest = sent[::-1]
    assert shop.found(reference=word)["messages"] == newest
    assert len(shop.found(reference="order #47")["messages"]) == 5
    pages, cursor = [], None
    for _ in range(3):
        page = shop.found(reference=word, limit=2, cursor=cursor)
        pages += page["messages"]
        cursor = page["cursor"]
    assert pages == newest and cursor is None
    view = shop.ask(QUERY, {"reference": word, "limit": 1})["messages"][0]
    assert (view["status"], view["reference"]) == ("sent", word)
    assert shop.found(reference=word, after=view["accepted_at"])["messages"] == newest[:1]
    assert shop.found(reference=word, before=view["accepted_at"])["messages"] == newest[1:]


def test_of_a_whole_request_its_id_is_named(shop: Orders) -> None:
    first, _ = shop.send(("a@example.com", None), ("b@example.com", "own"), reference="batch-1")
    second, _ = shop.send(*((f"many{i}@example.com", None) for i in range(250)), reference="batch-1")
    found = shop.found(reference="batch-1")
    assert (found["messages"], found["requests"]) == ([], [second, first])
    assert len(shop.found(reference="own")["messages"]) == 1


def test_who_was_rejected_is_found_too(shop: Orders) -> None:
    shop.send(("good@example.com", "order-5"), ("no address", "order-6"))
    [view] = shop.ask(QUERY, {"reference": "order-6"})["messages"]
    assert view["status"] == "rejected"


def test_a_test_key_finds_its_own_alone(shop: Orders) -> None:
    key = shop.ask("/v1/keys", {"name": "Test", "kind": "test", "scopes": ["send", "read"]})["key"]
    live, _ = shop.send(("a@example.com", "order-9"), reference="batch-9")
    tried, ids = shop.send(("a@example.com", "order-9"), reference="batch-9", key=key)
    assert shop.found(key, reference="order-9")["messages"] == ids
    assert shop.found(key, reference="batch-9")["requests"] == [tried]
    assert shop.found(reference="batch-9")["requests"][-1] == live


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"to": "a@example.com", "reference": "x"},
        {"reference": "x", "channel": "email"},
        {"reference": ""},
        {"reference": "x" * 101},
        {"reference": "x", "cursor": "?"},
    ],
)
def test_what_cannot_be_asked_says_so(shop: Orders, query: dict[str, Any]) -> None:
    assert shop.api.post(QUERY, json=query).status_code == 422


def test_nothing_is_found_by_what_nobody_said(shop: Orders) -> None:
    assert shop.found(reference="order") == {"messages": [], "requests": [], "cursor": None}
