"""The number by which receivers of events order them: the largest has the message's status, as it is folded."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.lifecycle.verdict import GENERATION
from shared.model.events import EventRow, fold, sequence_of
from shared.model.words import OUTCOMES, Stage

REPORTS = (
    *(Stage.DELAYED, Stage.DELIVERED, Stage.UNDELIVERED, Stage.OPENED, Stage.CLICKED),
    *(Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.COMPLAINED, Stage.UNSUBSCRIBED, Stage.WITHDRAWN),
)


def _row(stage: Stage, nth: int, at: int, **more: Any) -> EventRow:
    return EventRow(index=0, tag="T", stage=stage.value, nth=nth, at=at, **more)


@st.composite
def histories(draw: st.DrawFn) -> list[EventRow]:
    """What happens to a message: tries, outcomes, redrives, and what is reported afterwards."""
    at = 1_000
    rows = [_row(Stage.ACCEPTED, 0, at)]
    last = Stage.DEAD_LETTERED
    for generation in range(draw(st.integers(1, 3))):
        base = GENERATION * generation
        if generation:
            rows.append(_row(Stage.REDRIVEN, base, at))
        for attempt in range(draw(st.integers(0, 3))):
            at += draw(st.integers(1, 50))
            rows.append(_row(draw(st.sampled_from([Stage.RETRYING, Stage.DEFERRED])), base + attempt + 1, at))
        at += 1
        last = Stage.DEAD_LETTERED
        rows.append(_row(last, base, at))
    if draw(st.booleans()):
        last = draw(st.sampled_from(sorted(OUTCOMES)))
        rows[-1] = _row(last, rows[-1].nth, at)
    if last in (Stage.SENT, Stage.UNKNOWN):
        for stage in draw(st.lists(st.sampled_from(REPORTS), max_size=6)):
            at += draw(st.integers(0, 50))
            transient = stage is Stage.UNDELIVERED and draw(st.booleans())
            machine = stage in (Stage.OPENED, Stage.CLICKED) and draw(st.booleans())
            rows.append(_row(stage, draw(st.integers(0, 9_000_000)), at, transient=transient, machine=machine))
    elif last is Stage.DEAD_LETTERED and draw(st.booleans()):
        rows.append(_row(Stage.DISCARDED, rows[-1].nth, at + 1))
    return draw(st.permutations(rows))


@given(histories())
def test_the_event_with_the_largest_number_has_the_status(rows: list[EventRow]) -> None:
    largest = max(rows, key=lambda row: (sequence_of(row), row.at))
    status = fold(rows)
    assert (largest.stage, status.final) == (status.state, True)
    assert max(map(sequence_of, rows)) < 2**53


def test_a_click_by_a_machine_says_nothing() -> None:
    assert sequence_of(_row(Stage.CLICKED, 5, 1, machine=True)) == 0 < sequence_of(_row(Stage.ACCEPTED, 0, 1))


def test_a_rejection_is_the_end() -> None:
    assert sequence_of(_row(Stage.REJECTED, 0, 1)) > sequence_of(_row(Stage.WITHDRAWN, 9, 1))
