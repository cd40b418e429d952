"""The outbox: exact counts of everything, and the newest in full within bounds."""

import json
import tracemalloc
from functools import partial
from typing import Any

import pytest

from local.gateway import Incoming
from local.sandbox.outbox import Acceptance, Delivery, Outbox
from local.sandbox.pages import accepted_json, outbox_json, outbox_page


def put(outbox: Outbox, provider: str, to: str, message_id: str = "", text: str = "") -> None:
    outbox.put(Delivery(provider, to, "1", {"text": text, "more": [text, {"n": 1}]}, message_id=message_id))


@pytest.fixture
def outbox() -> Outbox:
    """Two messages, of which one went out by two providers, and posts without an id."""
    found = Outbox(keep=3)
    for provider, to, message_id in (
        ("smtp", "a@example.com", "m1"),
        ("ses", "a@example.com", "m1"),
        ("smtp", "b@example.com", "m2"),
        ("app", "zhangsan", ""),
        ("app", "zhangsan", ""),
    ):
        put(found, provider, to, message_id)
    return found


def test_everything_is_counted_however_little_is_kept(outbox: Outbox) -> None:
    assert len(outbox.all()) == 3
    assert (outbox.count(), outbox.count("app"), outbox.totals()) == (5, 2, {"smtp": 2, "ses": 1, "app": 2})
    assert outbox.accepted("a@example.com", "m1") == 2
    assert outbox.accepted("a@example.com", "m1", "ses") == 1
    assert outbox.accepted("a@example.com") == 2
    assert outbox.accepted("zhangsan", "") == outbox.accepted("zhangsan") == 2
    assert outbox.accepted("a@example.com", "m2") == outbox.accepted("a@example") == outbox.accepted("") == 0
    assert list(outbox.each()) == [
        Acceptance("a@example.com", "m1", {"smtp": 1, "ses": 1}),
        Acceptance("b@example.com", "m2", {"smtp": 1}),
        Acceptance("zhangsan", "", {"app": 2}),
    ]


def test_a_message_that_two_providers_took_is_repeated(outbox: Outbox) -> None:
    assert outbox.repeated() == [Acceptance("a@example.com", "m1", {"smtp": 1, "ses": 1})]
    outbox.clear()
    assert (outbox.repeated(), outbox.count(), outbox.accepted("a@example.com", "m1"), outbox.all()) == ([], 0, 0, [])


def test_big_texts_are_not_kept_for_ever() -> None:
    outbox = Outbox(keep_characters=10_000)
    for n in range(50):
        put(outbox, "smtp", f"u{n}@example.com", text="x" * 1000)
    assert [delivery.to for delivery in outbox.all()] == [f"u{n}@example.com" for n in range(46, 50)]
    put(outbox, "smtp", "big@example.com", text="x" * 100_000)
    assert [delivery.to for delivery in outbox.all()] == ["big@example.com"]
    assert outbox.count() == 51


def test_a_hundred_thousand_deliveries_take_little_memory() -> None:
    outbox = Outbox(keep=1000)
    tracemalloc.start()
    try:
        for n in range(100_000):
            message_id = f"01K0000000000000000{n:07d}abcdefghijklmnop"
            outbox.put(Delivery("smtp", f"user{n}@example.com", str(n), {"text": "Hello"}, message_id=message_id))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # About 170 bytes each; a dictionary just after it has grown holds twice its slots.
    assert most < 100_000 * 350
    assert (outbox.count(), outbox.repeated()) == (100_000, [])


def test_the_page_of_counts(outbox: Outbox) -> None:
    ask = partial(_ask, outbox)
    assert ask("") == (
        200,
        {
            "accepted": 5,
            "by_provider": {"smtp": 2, "ses": 1, "app": 2},
            "repeated": [{"to": "a@example.com", "message_id": "m1", "times": {"smtp": 1, "ses": 1}}],
            "repeated_messages": 1,
        },
    )
    assert ask("provider=smtp")[1]["accepted"] == 2
    assert ask("to=a%40example.com") == (200, {"accepted": 2})
    assert ask("to=a%40example.com&message_id=m1&provider=ses") == (200, {"accepted": 1})
    status, problem = ask("message_id=m1&id=3")
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["query.id", "query.to"])


def _ask(outbox: Outbox, query: str) -> tuple[int, Any]:
    status, _, body = accepted_json(outbox, Incoming("GET", "/_local/accepted", query, [], b"", "127.0.0.1"))
    return status, json.loads(body)


def test_what_was_taken_back_is_shown_so(outbox: Outbox) -> None:
    before = json.loads(outbox_json(outbox)[1])
    assert not any(each["withdrawn"] for each in before) and b"taken back" not in outbox_page(outbox)[1]
    outbox.withdraw("app", "1")
    assert [d.withdrawn for d in outbox.all()] == [d.provider == "app" for d in outbox.all()]
    assert outbox_page(outbox)[1].count(b"taken back") == 2
    assert (outbox.count(), outbox.count("app")) == (5, 2)
