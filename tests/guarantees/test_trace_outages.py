"""A table refuses the trace for longer than the event source mapping tries: what is counted is kept in the end."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.trace import keeping
from functions.trace.function import RETRIES
from tests.guarantees.fault_points import Call
from tests.guarantees.platform import Platform, platform

pytestmark = pytest.mark.xdist_group("outages")

MESSAGES = 12
HOUR_S = 3600


@pytest.fixture(scope="module")
def one() -> Iterator[Platform]:
    with platform() as made:
        yield made


def tables_of(call: Call) -> set[str]:
    """The tables to which a call would write."""
    if "RequestItems" in call.parameters:
        return set(call.parameters["RequestItems"])
    each = call.parameters.get("TransactItems", [{"Update": call.parameters}])
    return {write.get("Update", {}).get("TableName", "") for write in each}


def refused(one: Platform, role: str, done: Callable[[Call], bool] = lambda call: True) -> list[Call]:
    """Refuse what is written to a table; the list has what was refused."""
    table, found = one.table(role), []

    def between(call: Call) -> Any:
        if table in tables_of(call) and done(call):
            found.append(call)
            if call.operation == "TransactWriteItems":
                raise call.throttled()
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, call.operation)
        return call.make()

    one.points.between = between
    return found


def in_the_end(one: Platform) -> None:
    """What the next hours bring: sweeps, and all that follows from them."""
    for _ in range(4):
        one.sweep()
        one.work()
        one.stack.clock.advance(HOUR_S)


@pytest.mark.parametrize("aside", [0, keeping.MAX_ASIDE])
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("role", ["timeline", "counters"])
def test_what_is_counted_is_kept(
    one: Platform, monkeypatch: pytest.MonkeyPatch, role: str, others: int, aside: int
) -> None:
    one.reset()
    monkeypatch.setattr(keeping, "MAX_ASIDE", aside)
    waiting = (
        one.send("smtp-notification", one.addresses("smtp", others), send_at=one.later(7 * HOUR_S)) if others else []
    )
    one.step(5)
    calls = refused(one, role)
    ids = one.send("ses-notification", one.addresses("ses", MESSAGES))
    one.step(5000)
    assert calls and not one.timelines().keys() & set(ids)
    if aside == 0 or role == "counters":
        assert len(calls) > RETRIES
    one.points.between = None
    in_the_end(one)
    one.stack.clock.advance(8 * HOUR_S)
    one.work()
    assert one.check([*ids, *waiting]) == {"sent": MESSAGES + others}
    assert all(one.book.taken[id] == 1 for id in ids)


def test_one_message_that_the_timeline_refuses_holds_up_no_other(one: Platform) -> None:
    one.reset()
    ids = one.send("ses-notification", one.addresses("ses", MESSAGES), send_at=one.later(60))
    one.step(5)

    def poisonous(call: Call) -> bool:
        requests = call.parameters.get("RequestItems", {}).get(one.table("timeline"), ())
        return any(each["PutRequest"]["Item"]["sk"]["S"] == f"{ids[3]}#sent#0" for each in requests)

    calls = refused(one, "timeline", poisonous)
    one.work()
    in_the_end(one)
    assert calls
    timelines = one.timelines()
    unsent = [id for id in ids if not any(event.stage == "sent" for event in timelines[id])]
    assert unsent == [ids[3]]
    one.points.between = None
    in_the_end(one)
    assert one.check(ids) == {"sent": MESSAGES}
