"""The watch and recalls of campaigns' messages, of which some are known from their envelope's item alone."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest

from functions.watch import following
from functions.watch.following import GRACE_MS, LOOK_AGAIN_MS
from shared.acceptance.telling import accepted_by_run
from shared.aws.queue import Dispatch
from shared.model.envelope import Envelope
from shared.model.ids import Numbering
from shared.model.reasons import Reason
from shared.model.runs import RunState
from shared.store.campaigns import Control
from shared.store.counters import run_scope
from shared.store.ledger import Entry
from shared.store.timeline import Timeline
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.recall.test_stopping import RecallHarness, results
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.samples import NOW, REQUEST, envelope
from tests.unit.shared.dispatch.harness import harness as dispatching

RUN = "spring.01KAV2M3X80000000000000000"
TTL_MS = 3 * 86_400_000


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    clock.set(NOW)
    return WatchHarness(aws, clock)


@pytest.fixture
def recalling(harness: WatchHarness) -> Any:
    with ThreadPoolExecutor(4) as pool:
        yield RecallHarness(harness, pool)


def queued(harness: WatchHarness, count: int, start: int = 0, due_at: int | None = None) -> Envelope:
    """An envelope of a run, as expansion puts it on its queue and tells of it."""
    one = envelope(count, start=start, run=RUN, variant="b")
    harness.tell(accepted_by_run(Dispatch(one, "", due_at)))
    harness.trace()
    return one


def ids_of(one: Envelope) -> list[str]:
    return [Numbering(one.id)(r.index) + r.tag for r in one.recipients]


def timelines(harness: WatchHarness, *several: Envelope) -> list[list[str]]:
    """The stages of each message, in order of time."""
    ids = [id for one in several for id in ids_of(one)]
    found = Timeline(harness.aws.dynamodb, "timeline").events_of_many("default", ids)
    assert all(event.run == RUN and event.variant == "b" for events in found for event in events)
    return [[event.stage for event in sorted(events, key=lambda e: e.at)] for events in found]


def counts(harness: WatchHarness) -> Counter[str]:
    """The run's counters, which are the tenant's, but for reasons."""
    found: Counter[str] = Counter()
    for each in harness.counters.read(run_scope("default", RUN), 0, 10**7).values():
        found.update(each)
    assert harness.counts() == {name: n for name, n in found.items() if ":" not in name}
    return found


def dispatch(harness: WatchHarness, one: Envelope) -> None:
    """Have a dispatcher work on an envelope."""
    with dispatching() as w:
        w.clock.set(harness.clock.now_ms())
        w.controls[RUN] = Control(RunState.SENDING, NOW, "key")
        w.dispatcher._waves._ledger = harness.ledger
        assert w.run(one) == []
        for record in w.records:
            harness.tell(record)
    harness.trace()


def test_what_is_queued_for_long_is_reported_and_ends_after_its_time(harness: WatchHarness) -> None:
    one = queued(harness, 60)
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.mended, mark.too_long) == ({"waiting": 60}, {}, 60)
    harness.clock.set(NOW + TTL_MS + GRACE_MS + LOOK_AGAIN_MS)
    assert harness.mend().mended == {"ended": 60}
    assert harness.in_flight() == 0
    assert counts(harness) == {"accepted": 60, "expired": 60, f"expired:{Reason.EXPIRED}": 60}
    assert timelines(harness, one) == [["accepted", "expired"]] * 60
    harness.clock.advance(HOUR_S)
    assert harness.mend().found == {}


def test_what_is_due_later_is_not_late(harness: WatchHarness) -> None:
    queued(harness, 3, due_at=NOW + 20 * 3_600_000)
    harness.clock.advance(4 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"deferred": 3}, 0)


def test_an_outcome_that_the_trace_missed_is_told_again(harness: WatchHarness) -> None:
    one, other = queued(harness, 3), queued(harness, 2, start=100)
    harness.close(one, rows_of(one, "sent", account="main", provider="smtp", provider_id="p"), told=False)
    again = rows_of(other, "retrying", 1, account="main", provider="smtp", reason="throttled", due_at=NOW + 60_000)
    [child] = harness.close(other, again, told=False)
    harness.close(
        child, rows_of(child, "failed", account="main", provider="smtp", reason="address_unknown"), told=False
    )
    harness.clock.advance(3 * HOUR_S)
    assert harness.mend().mended == {"restated": 7}
    assert counts(harness) == {"accepted": 5, "sent": 3, "retrying": 2, "failed": 2, "failed:address_unknown": 2}
    assert timelines(harness, one) == [["accepted", "sent"]] * 3
    assert {len(stages) for stages in timelines(harness, other)} == {3}
    harness.clock.advance(HOUR_S)
    assert harness.mend().found == {}


def test_so_many_envelopes_are_followed_together_as_memory_holds(harness: WatchHarness) -> None:
    several = [queued(harness, 2, start=10 * k) for k in range(5)]
    for one in several:
        harness.close(one, rows_of(one, "sent", account="main", provider="smtp", provider_id="p"), told=False)
    harness.clock.advance(3 * HOUR_S)
    with patch.object(following, "TOGETHER", 2):
        assert harness.mend().mended == {"restated": 10}
    assert counts(harness) == {"accepted": 10, "sent": 10}


def test_a_queued_message_is_recalled_by_its_id_and_the_others_go_out(
    harness: WatchHarness, recalling: RecallHarness
) -> None:
    one = queued(harness, 3)
    wanted = ids_of(one)[1]
    [answer] = recalling(wanted)
    assert (answer.message_id, answer.result, answer.before) == (wanted, "recalled", "queued")
    harness.trace()
    assert timelines(harness, one) == [["accepted"], ["accepted", "recalled"], ["accepted"]]
    dispatch(harness, one)
    assert timelines(harness, one) == [["accepted", "sent"], ["accepted", "recalled"], ["accepted", "sent"]]
    assert counts(harness) == {"accepted": 3, "sent": 2, "recalled": 1, "recalled:recalled": 1}


def test_a_recalled_request_takes_all_its_envelopes_along(harness: WatchHarness, recalling: RecallHarness) -> None:
    done, waiting, later = queued(harness, 2), queued(harness, 3, start=100), queued(harness, 2, 200, NOW + 7_200_000)
    dispatch(harness, done)
    answers = recalling(REQUEST)
    assert results(answers) == ["too_late"] * 2 + ["recalled"] * 5
    assert [answer.before for answer in answers] == [None, None, "queued", "queued", "queued", "deferred", "deferred"]
    harness.trace()
    for one in (waiting, later):
        dispatch(harness, one)
    assert timelines(harness, done, waiting, later) == [["accepted", "sent"]] * 2 + [["accepted", "recalled"]] * 5
    assert counts(harness) == {"accepted": 7, "sent": 2, "recalled": 5, "recalled:recalled": 5}
    again = recalling(REQUEST)
    assert results(again) == results(answers)
    assert [answer.before for answer in again] == [answer.before for answer in answers]


def test_what_somebody_works_on_is_in_progress(harness: WatchHarness, recalling: RecallHarness) -> None:
    one = queued(harness, 2)
    harness.ledger.acquire(one.id, Entry("dispatcher", NOW + 60_000, [], {"main": [0]}))
    assert results(recalling(REQUEST)) == ["in_progress", "recalled"]
