"""Nothing stays marked in flight that was not sent: a batch is acquired, and AWS does some of it, or says nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from shared.model.words import MessageClass
from tests.guarantees.fault_points import Call
from tests.guarantees.platform import Platform, platform

pytestmark = pytest.mark.xdist_group("outages")

REQUESTS, EACH = 10, 3
Fate = Callable[[Call], Any]


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


def throttled(call: Call) -> Any:
    raise call.throttled()


def lost(call: Call) -> Any:
    call.make()
    raise ReadTimeoutError(endpoint_url="http://127.0.0.1")


def fine(call: Call) -> Any:
    return call.make()


def ledger_writes(parameters: Any) -> bool:
    """Whether these are the parameters of a write to a ledger, or to several."""
    updates = [each.get("Update", {}) for each in parameters.get("TransactItems", [{"Update": parameters}])]
    return all(each.get("Key", {}).get("pk", {}).get("S", "").startswith("envelope#") for each in updates)


@pytest.mark.parametrize("message_class", [MessageClass.MARKETING, MessageClass.NOTIFICATION])
@pytest.mark.parametrize("single", [[], [fine, fine, throttled], [fine, lost], [throttled, throttled, lost, throttled]])
@pytest.mark.parametrize("together", [throttled, lost])
def test_a_batch_that_is_acquired_in_part_is_sent(
    one: Platform, together: Fate, single: list[Fate], message_class: str
) -> None:
    one.reset()
    ids = [id for _ in range(REQUESTS) for id in one.send(f"smtp-{message_class}", one.addresses("smtp", EACH))]
    left = {"TransactWriteItems": [together], "UpdateItem": list(single)}

    def between(call: Call) -> Any:
        fates = left.get(call.operation)
        return fates.pop(0)(call) if fates and ledger_writes(call.parameters) else call.make()

    one.points.between = between
    one.work()
    assert not left["TransactWriteItems"] and not left["UpdateItem"]
    assert one.check(ids) == {"sent": REQUESTS * EACH}
    assert one.book.taken == Counter(ids)


def test_a_ledger_that_is_taken_over_is_sent_from_though_the_answer_was_lost(one: Platform) -> None:
    one.reset()
    ids = one.send("smtp-marketing", one.addresses("smtp", 2), send_at=one.later(60))
    one.step(3)
    # A mark alone: whoever comes next takes the ledger over, and marks the other one in flight with that.
    event = one.event("POST /v1/messages/{id}/recall", None, id=ids[0])
    assert one.ask("recall", event)["messages"][0]["result"] == "recalled"
    calls: list[str] = []

    def between(call: Call) -> Any:
        if call.operation == "UpdateItem" and ledger_writes(call.parameters):
            calls.append(call.parameters["ConditionExpression"])
            if "attribute_not_exists(#owner)" in calls[-1] and len(calls) < 4:
                return lost(call)
        return call.make()

    one.points.between = between
    one.work()
    assert len(calls) >= 4
    assert one.check(ids) == {"recalled": 1, "sent": 1}
