"""Status is folded from events, in whatever order they come."""

from itertools import permutations
from typing import Any

import pytest

from shared.model.events import EventRow, Facts, fold, read_record, record_of
from shared.model.words import OUTCOMES, Stage
from tests.samples import envelope


def event(stage: Stage, nth: int = 0, at: int = 0, **more: Any) -> Facts:
    return Facts(stage=stage, nth=nth, at=at, **more)


A, S = Stage.ACCEPTED, Stage.SENT


@pytest.mark.parametrize(
    ("events", "state", "final"),
    [
        ([event(Stage.REJECTED)], Stage.REJECTED, True),
        ([event(A)], A, False),
        ([event(A), event(Stage.DEFERRED, at=1)], Stage.DEFERRED, False),
        ([event(A), event(Stage.DEFERRED, at=1), event(Stage.RETRYING, 1, 2)], Stage.RETRYING, False),
        ([event(A), event(Stage.RETRYING, 1, 1), event(S, at=2)], S, True),
        ([event(A), event(S, at=2), event(Stage.DELIVERED, at=3)], Stage.DELIVERED, True),
        ([event(A), event(S, at=2), event(Stage.DELIVERED, at=3), event(Stage.OPENED, at=4)], Stage.OPENED, True),
        ([event(A), event(Stage.UNKNOWN, at=2), event(Stage.DELIVERED, at=3)], Stage.DELIVERED, True),
        ([event(A), event(Stage.FAILED, at=2), event(Stage.DELIVERED, at=3)], Stage.FAILED, True),
        ([event(A), event(Stage.DEAD_LETTERED, 0, 2)], Stage.DEAD_LETTERED, True),
        ([event(A), event(Stage.DEAD_LETTERED, 0, 2), event(Stage.DISCARDED, 0, 3)], Stage.DISCARDED, True),
        (
            [event(Stage.DEAD_LETTERED, 0, 2), event(Stage.REDRIVEN, 1, 3), event(Stage.DEAD_LETTERED, 1, 4)],
            Stage.DEAD_LETTERED,
            True,
        ),
        ([event(A), event(Stage.DEAD_LETTERED, 0, 2), event(Stage.REDRIVEN, 1, 3)], Stage.REDRIVEN, False),
        ([event(A), event(Stage.DEAD_LETTERED, 0, 2), event(Stage.REDRIVEN, 1, 3), event(S, 1, 4)], S, True),
    ],
)
def test_status_does_not_depend_on_the_order_of_events(events: list[Any], state: Stage, final: bool) -> None:
    for order in permutations(events):
        status = fold(order)
        assert (status.state, status.final) == (state, final)


BACK, LATER, READ = (event(Stage.UNDELIVERED, at=5), event(Stage.DELIVERED, at=3), event(Stage.OPENED, at=4))
SOFT = event(Stage.UNDELIVERED, 9, at=9, transient=True, reason="mailbox_full")
ROBOT = event(Stage.CLICKED, 7, at=7, machine=True)


@pytest.mark.parametrize(
    ("reported", "state", "reason"),
    [
        ([event(Stage.DELAYED, 4)], Stage.DELAYED, None),
        ([event(Stage.DELAYED, 4), SOFT], Stage.UNDELIVERED, "mailbox_full"),
        ([LATER, SOFT, event(Stage.DELAYED, 99, at=99)], Stage.DELIVERED, None),
        ([LATER, BACK], Stage.UNDELIVERED, None),
        ([LATER, BACK, SOFT, READ], Stage.UNDELIVERED, None),
        ([LATER, BACK, event(Stage.COMPLAINED, at=1)], Stage.COMPLAINED, None),
        ([LATER, READ, event(Stage.CLICKED), event(Stage.UNSUBSCRIBED)], Stage.UNSUBSCRIBED, None),
        ([LATER, BACK, READ, event(Stage.CLICKED), event(Stage.ACKNOWLEDGED)], Stage.ACKNOWLEDGED, None),
        ([BACK, event(Stage.ACKNOWLEDGED), event(Stage.VERIFIED)], Stage.VERIFIED, None),
        ([event(Stage.ACKNOWLEDGED), event(Stage.UNSUBSCRIBED)], Stage.UNSUBSCRIBED, None),
        ([event(Stage.ACKNOWLEDGED), event(Stage.COMPLAINED)], Stage.COMPLAINED, None),
        ([LATER, ROBOT], Stage.DELIVERED, None),
        ([ROBOT], S, None),
        ([LATER, event(Stage.CLICKED), ROBOT], Stage.CLICKED, None),
    ],
)
def test_of_what_is_reported_what_says_most_counts(reported: list[Facts], state: Stage, reason: str | None) -> None:
    for order in permutations([event(A), event(S, at=2), *reported]):
        status = fold(order)
        assert (status.state, status.final, status.reason) == (state, True, reason)


def test_a_dead_letter_that_arrived_all_the_same_says_so() -> None:
    dead = [event(A), event(Stage.DEAD_LETTERED, maybe_sent=True)]
    assert fold([*dead, LATER]).state is Stage.DELIVERED
    assert fold([*dead, event(Stage.DISCARDED), LATER]).state is Stage.DISCARDED


def test_every_outcome_closes_a_message() -> None:
    for outcome in OUTCOMES:
        status = fold([event(A), event(outcome, at=1, reason="throttled", code="45009")])
        assert (status.state, status.final, status.reason, status.code) == (outcome, True, "throttled", "45009")


def test_no_events_have_no_status() -> None:
    with pytest.raises(ValueError, match="no events"):
        fold([])


def test_a_record_reads_back_with_its_message_ids() -> None:
    sent = envelope(3)
    rows = [EventRow(index=r.index, tag=r.tag, stage="sent", nth=0, at=5) for r in sent.recipients]
    record = record_of(sent.child("r1", sent.recipients), rows)
    read = read_record(record.to_json())
    assert read == record
    assert read.partition_key == sent.id
    assert next(m for m, _ in read.message_ids()) == sent.id + sent.recipients[0].tag
