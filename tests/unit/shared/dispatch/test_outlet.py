"""An envelope that is too large for where it has to wait ends as a dead letter that people can see."""

from typing import Any

import pytest

from shared.model.letters import letters_of
from shared.model.outcome import Outcome, Retry
from shared.model.reasons import Reason
from shared.providers.base import Outgoing
from tests.samples import NOW, envelope, recipients
from tests.unit.shared.dispatch.harness import DispatchHarness, harness

HUGE = "汉" * 90_000
"""270,000 bytes: a queue takes it, a schedule does not. An earlier version accepted it."""


def huge(count: int = 2, **changes: Any) -> Any:
    return envelope(count, recipients=recipients(count, name="n", body=HUGE), **changes)


def busy(message: Outgoing) -> Outcome:
    return Retry(Reason.THROTTLED, "busy", after=3600)


def told(one: DispatchHarness) -> list[tuple[str, int, str, str | None]]:
    return sorted((r.envelope[26:], e.index, e.stage, e.reason) for r in one.records for e in r.events)


def test_a_retry_that_no_schedule_takes_is_a_dead_letter_with_its_reason() -> None:
    with harness(busy) as one:
        assert one.run(huge()) == []
        assert one.dispatched == []
        assert told(one) == [
            ("", 0, "accepted", None),
            ("", 0, "retrying", "throttled"),
            ("", 1, "accepted", None),
            ("", 1, "retrying", "throttled"),
            ("/r1", 0, "dead_lettered", "too_large"),
            ("/r1", 1, "dead_lettered", "too_large"),
        ]
        (dead,) = one.dead
        assert dead.id == f"{envelope().id}/r1/d0"
        assert [(letter.reason, letter.recipients) for letter, _ in letters_of(dead, NOW)] == [("too_large", 2)]
        # Whoever follows the ledgers finds it where the retry would be.
        assert one.entries[f"{envelope().id}/r1"].closed


def test_coming_again_it_ends_the_same_way() -> None:
    with harness(busy) as one:
        one.run(huge())
        events, dead = told(one), one.dead[0]
        one.clock.advance(60)
        assert one.run(huge()) == []
        # The same events and the same letter, which count once.
        assert sorted({*told(one)}, key=str) == sorted({*events}, key=str)
        assert {(each.id, each.to_json()) for each in one.dead} == {(dead.id, dead.to_json())}


def test_what_fits_beside_it_goes_on() -> None:
    with harness(busy) as one:
        small = envelope(1, start=500)
        assert one.run(huge(1), small) == []
        assert [d.envelope.id for d in one.dispatched] == [f"{small.id}/r1"]
        assert [dead.id for dead in one.dead] == [f"{envelope().id}/r1/d0"]


def test_a_retry_that_need_not_wait_for_long_is_queued() -> None:
    with harness(lambda message: Retry(Reason.THROTTLED, "busy", after=60)) as one:
        assert one.run(huge(1)) == []
        assert [d.envelope.id for d in one.dispatched] == [f"{envelope().id}/r1"]
        assert one.dead == []


@pytest.mark.parametrize("broken", ["acquire", "dead", "stream"])
def test_if_its_end_cannot_be_written_it_comes_back(broken: str) -> None:
    with harness(busy) as one:
        first = huge(1)
        one.run(first)
        one.records.clear()
        one.dead.clear()
        del one.entries[f"{first.id}/r1"]
        one.broken.add(broken)
        assert one.run(first) == ["0"]
        one.broken.clear()
        assert one.run(first) == []
        assert [dead.id for dead in one.dead][-1] == f"{first.id}/r1/d0"
