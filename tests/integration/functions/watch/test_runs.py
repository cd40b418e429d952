"""The watch and paused runs: what is held is not late, what should go on and does not is, and all ends in time."""

from typing import Any

import pytest
from msgspec.structs import replace

from functions.recall.answers import from_end, from_events
from functions.recall.stopping import End
from functions.trace.views import view
from functions.watch.following import GRACE_MS
from shared.api.recall import Before
from shared.lifecycle.walk import first_legs, next_legs
from shared.model.envelope import Envelope
from shared.model.events import EventRow, record_of
from shared.model.runs import RunState
from shared.model.words import MessageClass
from shared.store.campaigns import Campaigns
from shared.store.kept_events import kept_event
from shared.store.ledger import Entry
from shared.store.timeline import Timeline
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.watch.harness import HOUR_S, WatchHarness, rows_of
from tests.integration.shared.store.test_parking import RUN, run
from tests.samples import NOW, envelope

TTL_MS = 3 * 86_400_000


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> WatchHarness:
    return WatchHarness(aws, clock)


@pytest.fixture
def campaigns(aws: Aws, clock: FakeClock) -> Campaigns:
    made = Campaigns(aws.dynamodb, "catalog", clock)
    made.create_run(run(RunState.PAUSED))
    return made


def let(harness: WatchHarness, campaigns: Campaigns, state: RunState) -> None:
    campaigns.change_run("default", RUN, lambda r: r.to(state, harness.clock.now_ms(), "key"))


def held(one: Envelope, n: int = 1, **more: Any) -> list[EventRow]:
    return rows_of(one, "deferred", n, reason="run_paused", note="key", **more)


def of_run(count: int) -> Envelope:
    return envelope(count, run=RUN, message_class=MessageClass.MARKETING)


def parked(harness: WatchHarness, count: int = 3) -> tuple[Envelope, Envelope]:
    """An envelope whose recipients are held, and the one that carries on with them."""
    one = of_run(count)
    harness.accept(one)
    [child] = harness.close(one, held(one))
    assert child.id == f"{one.id}/w1"
    return one, child


def test_what_is_held_is_not_late_and_goes_on_being_looked_at(harness: WatchHarness, campaigns: Campaigns) -> None:
    parked(harness)
    for _ in range(3):
        harness.clock.advance(5 * HOUR_S)
        mark = harness.mend()
        assert (mark.found, mark.too_long, mark.mended) == ({"paused": 3}, 0, {})


def test_once_the_run_goes_on_an_hour_is_given_to_what_was_held(harness: WatchHarness, campaigns: Campaigns) -> None:
    parked(harness)
    harness.clock.advance(10 * HOUR_S)
    let(harness, campaigns, RunState.SENDING)
    harness.clock.advance(HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"waiting": 3}, 0)
    harness.clock.advance(2 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"waiting": 3}, 3)


def test_what_carries_on_from_what_was_held_is_not_late_at_once(harness: WatchHarness, campaigns: Campaigns) -> None:
    _, child = parked(harness)
    harness.clock.advance(10 * HOUR_S)
    let(harness, campaigns, RunState.SENDING)
    [rest] = harness.close(child, rows_of(child, "sent")[:1])
    assert rest.id == f"{child.id}/c1"
    harness.clock.advance(600)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"waiting": 2}, 0)


def test_what_waits_on_a_queue_is_late_whatever_its_run_is(harness: WatchHarness, campaigns: Campaigns) -> None:
    """Whoever receives it would hold it: it does not wait for its run."""
    harness.accept(of_run(2))
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"waiting": 2}, 2)


def test_what_somebody_died_over_is_late_whatever_its_run_is(harness: WatchHarness, campaigns: Campaigns) -> None:
    _, child = parked(harness)
    harness.ledger.acquire(child.id, Entry("dead", NOW + 65_000, [], {"main": [1, 2]}))
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"lease_expired": 3}, 3)


def test_a_run_that_is_gone_holds_nothing(harness: WatchHarness) -> None:
    parked(harness)
    harness.clock.advance(3 * HOUR_S)
    mark = harness.mend()
    assert (mark.found, mark.too_long) == ({"waiting": 3}, 3)


def test_what_is_held_beyond_its_time_to_live_ends(harness: WatchHarness, campaigns: Campaigns) -> None:
    parked(harness)
    harness.clock.set(NOW + TTL_MS + GRACE_MS + HOUR_S * 1000)
    assert harness.mend().mended == {"ended": 3}
    assert harness.counts() == {"accepted": 3, "deferred": 3, "expired": 3}
    assert len(harness.events("expired")) == 3
    assert harness.in_flight() == 0


def test_who_follows_a_message_comes_to_the_envelope_that_is_held(harness: WatchHarness, campaigns: Campaigns) -> None:
    one, child = parked(harness)
    timeline = Timeline(harness.aws.dynamodb, "timeline")
    legs, _ = first_legs(timeline, "default", [one.request])
    entry = harness.ledger.read(one.id)
    assert entry is not None
    [leg] = next_legs(timeline, [(legs[0], entry.rows)])
    assert (leg.id, leg.parked, leg.times_put_off, leg.due_at) == (child.id, True, 1, NOW + 5)
    assert not leg.retry and list(leg.recipients) == [0, 1, 2]
    [rest] = next_legs(timeline, [(leg, [])])
    assert (rest.id, rest.parked) == (f"{child.id}/c1", False)
    record = leg.root.record(leg.id, [])
    assert record.run == RUN


def test_a_held_message_can_be_looked_at_and_recalled(harness: WatchHarness, campaigns: Campaigns) -> None:
    one, _ = parked(harness, 1)
    record = record_of(one, [])
    accepted, waits = (kept_event(record, row) for row in (rows_of(one, "accepted")[0], held(one)[0]))
    message_id = one.id + one.recipients[0].tag
    seen = view(message_id, [accepted, waits], NOW)
    assert (seen.status, seen.final) == ("deferred", False)
    assert seen.timeline[-1].until is None and seen.timeline[-1].text.startswith("Held while its campaign's run")
    assert seen.timeline[-1].reason == "run_paused"
    end = replace(rows_of(one, "recalled", reason="recalled", note="key")[0], at=NOW + 9000)
    assert from_events(message_id, [accepted, waits, kept_event(record, end)]).before is Before.DEFERRED
    timeline = Timeline(harness.aws.dynamodb, "timeline")
    [leg] = next_legs(timeline, [(first_legs(timeline, "default", [one.request])[0][0], held(one))])
    assert from_end(message_id, End(leg, end, [end]), None).before is Before.DEFERRED
