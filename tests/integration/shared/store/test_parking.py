"""The parking place and the runs in their tables, with the dispatcher around them: pause, resume and cancel, in every
order in which they can meet what is under way."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from shared.dispatch.runs import Runs
from shared.model.campaigns import Audience, Campaign, Variant
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.outcome import Outcome, Sent
from shared.model.runs import Run, RunState, run_id
from shared.model.words import Channel, MessageClass
from shared.providers.base import Outgoing
from shared.store.campaigns import CONTROL_SECONDS, Campaigns
from shared.store.ledger import TTL_S as LEDGER_TTL_S
from shared.store.parking import BUCKETS, PAGE, TTL_S, Parking
from tests.fakes import FakeClock
from tests.memory import tables
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.decide.test_steps_duplicates_and_caps import Asked
from tests.unit.shared.dispatch.harness import DispatchHarness, harness
from tests.unit.shared.dispatch.test_waves import CrashError

RUN = run_id("default", "spring", NOW)
SENT = Sent("p")


def run(state: RunState = RunState.SENDING) -> Run:
    campaign = Campaign(
        id="spring",
        tenant="default",
        name="Spring",
        variants=(Variant(name="all", template="welcome"),),
        audience=Audience(file="uploads/a.csv"),
    )
    return Run(
        id=RUN,
        tenant="default",
        fired_at=NOW,
        state=state,
        state_at=NOW,
        state_by="schedule",
        started_by="schedule",
        campaign=campaign,
        channel=Channel.EMAIL,
        message_class=MessageClass.MARKETING,
        created_at=NOW,
    )


def of_run(count: int = 1, **changes: Any) -> Envelope:
    return envelope(count, **{"run": RUN, "message_class": MessageClass.MARKETING, **changes})


class Place(Parking):
    """A parking place at which something else happens just before or just after an envelope is put there."""

    before: Callable[[], None] = staticmethod(lambda: None)
    after: Callable[[], None] = staticmethod(lambda: None)

    def put(self, envelopes: Sequence[Envelope]) -> None:
        self.before()
        super().put(envelopes)
        self.after()


@dataclass
class ParkingHarness:
    """A dispatcher whose runs and parking place are in tables, and what people do to the run."""

    w: DispatchHarness
    campaigns: Campaigns
    parking: Place
    asked: Any

    def let(self, state: RunState) -> None:
        """Change the run, as another process does it: this one knows it at the latest two seconds later."""
        other = Campaigns(self.asked, "catalog", self.w.clock)
        changed = other.change_run("default", RUN, lambda r: r.to(state, self.w.clock.now_ms(), "key"))
        assert changed is not None and changed.state is state

    def release(self) -> None:
        """Put what is held on its queue, and forget it there."""
        for bucket in range(BUCKETS):
            for page in self.parking.pages("default", RUN, bucket):
                self.queued += [envelope for envelope, _ in page]
                self.parking.delete("default", RUN, bucket, [envelope.id for envelope, _ in page])

    def resume(self) -> None:
        """Have the run go on: it is said first, then what is held is brought."""
        self.let(RunState.SENDING)
        self.release()

    def __post_init__(self) -> None:
        self.queued: list[Envelope] = []

    def work_off(self, pause_s: int = CONTROL_SECONDS) -> None:
        """Dispatch until every queue is empty."""
        for _ in range(50):
            self.queued += [dispatch.envelope for dispatch in self.w.dispatched]
            self.w.dispatched.clear()
            if not self.queued:
                return
            self.w.clock.advance(pause_s)
            assert self.w.run(self.queued.pop(0)) == []
        raise AssertionError("there is no end to it")

    def sent(self) -> int:
        """How many messages were sent. Fails if one was sent twice."""
        ids = [message.message_id for message in self.w.providers["main"].sent]
        assert len(set(ids)) == len(ids)
        return len(ids)

    def kept(self) -> list[str]:
        """The ids of what is held."""
        pages = [page for bucket in range(BUCKETS) for page in self.parking.pages("default", RUN, bucket)]
        return sorted(envelope.id for page in pages for envelope, _ in page)


@contextmanager
def parking_harness(
    script: Callable[[Outgoing], Outcome] = lambda m: SENT, state: RunState = RunState.SENDING
) -> Iterator[ParkingHarness]:
    clock = FakeClock(NOW)
    with tables(clock, "catalog", "guard") as client:
        asked: Any = Asked(client)
        made: list[tuple[Campaigns, Place]] = []

        def runs(clock: Clock) -> Runs:
            made.append((Campaigns(asked, "catalog", clock), Place(asked, "guard", clock)))
            return Runs(*made[0], clock)

        with harness(script, asked, runs) as w:
            made[0][0].create_run(run(state))
            yield ParkingHarness(w, *made[0], asked)


@pytest.fixture
def place() -> Iterator[tuple[Parking, FakeClock, Asked]]:
    clock = FakeClock(NOW)
    with tables(clock, "guard") as client:
        asked = Asked(client)
        yield Parking(asked, "guard", clock), clock, asked


# The place


def many(count: int) -> list[Envelope]:
    one = of_run(2, variables={"text": "x" * 1000})
    return [one.child(f"w{k}", one.recipients, times_put_off=k) for k in range(count)]


def all_of(parking: Parking, run: str = RUN) -> list[Envelope]:
    return [e for b in range(BUCKETS) for page in parking.pages("default", run, b) for e, _ in page]


def test_what_is_put_there_is_found_again_as_it_was(place: tuple[Parking, FakeClock, Asked]) -> None:
    parking, _, _ = place
    envelopes = many(3)
    parking.put(envelopes)
    parking.put(envelopes[:2])
    assert sorted(all_of(parking), key=lambda e: e.id) == envelopes
    bodies = {body for b in range(BUCKETS) for page in parking.pages("default", RUN, b) for _, body in page}
    assert bodies == {e.to_json() for e in envelopes}
    assert parking.any("default", RUN) and not parking.any("default", "other") and not parking.any("other", RUN)


def test_it_is_spread_over_all_buckets_and_comes_in_pages(place: tuple[Parking, FakeClock, Asked]) -> None:
    parking, _, _ = place
    envelopes = many(BUCKETS * PAGE * 2)
    parking.put(envelopes)
    sizes = [[len(page) for page in parking.pages("default", RUN, bucket)] for bucket in range(BUCKETS)]
    assert all(len(each) > 1 and max(each) == PAGE for each in sizes)
    assert {e.id for e in all_of(parking)} == {e.id for e in envelopes}


def test_what_is_deleted_is_gone_and_more_may_be_deleted_than_there_is(
    place: tuple[Parking, FakeClock, Asked],
) -> None:
    parking, _, _ = place
    envelopes = many(BUCKETS * PAGE * 2)
    parking.put(envelopes)
    for bucket in range(BUCKETS):
        for page in parking.pages("default", RUN, bucket):
            ids = [e.id for e, _ in page]
            parking.delete("default", RUN, bucket, [*ids, ids[0], "gone"])
    assert all_of(parking) == [] and not parking.any("default", RUN)


def test_it_is_kept_less_long_than_ledgers_are_whatever_the_table_does(
    place: tuple[Parking, FakeClock, Asked],
) -> None:
    """A table deletes days after the time to live. What came out by then, with its ledger gone, would be sent again."""
    parking, clock, asked = place
    count = 2 * BUCKETS * PAGE
    parking.put(many(count))
    clock.advance(TTL_S - 1)
    assert len(all_of(parking)) == count
    clock.advance(1)
    assert all_of(parking) == [] and not parking.any("default", RUN)
    assert asked.scan(TableName="guard")["Count"] == count
    assert TTL_S + 86_400 <= LEDGER_TTL_S
    # It hides nothing that is put there later.
    late = [e.child("z", e.recipients) for e in many(1000)[-9:]]
    parking.put(late)
    assert {e.id for e in all_of(parking)} == {e.id for e in late} and parking.any("default", RUN)


# With a dispatcher


def test_a_run_is_paused_and_resumed() -> None:
    with parking_harness() as d:
        one = of_run(3)
        d.let(RunState.PAUSED)
        assert d.w.run(one) == []
        assert d.kept() == [f"{one.id}/w1"] and d.w.dispatched == []
        d.w.clock.advance(3600)
        d.resume()
        d.work_off()
        assert (d.sent(), d.kept()) == (3, [])
        assert d.w.stages() == {"accepted": 3, "deferred": 3, "sent": 3}


def test_a_run_is_paused_and_cancelled() -> None:
    with parking_harness() as d:
        d.let(RunState.PAUSED)
        d.w.run(of_run(3))
        d.let(RunState.CANCELLED)
        d.release()
        d.work_off()
        assert (d.sent(), d.kept()) == (0, [])
        assert d.w.stages() == {"accepted": 3, "deferred": 3, "recalled": 3}


def test_who_knows_of_a_resume_too_late_holds_nothing_back() -> None:
    """Within two seconds a process may take a run for paused that goes on: what it holds comes to the queue as well."""
    with parking_harness(state=RunState.PAUSED) as d:
        assert d.w.run(of_run(1)) == []
        d.resume()
        d.work_off(pause_s=0)
        assert d.sent() == 1
        # What lies there still is known by its id when it is brought.
        d.release()
        d.work_off()
        assert d.sent() == 1


@pytest.mark.parametrize("state", [RunState.SENDING, RunState.CANCELLED])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_change_may_meet_the_holding_in_either_order(state: RunState, moment: str) -> None:
    with parking_harness() as d:
        d.let(RunState.PAUSED)
        seen: list[list[str]] = []

        def change() -> None:
            seen.append(d.kept())
            d.let(state)
            d.release()

        setattr(d.parking, moment, change)
        one = of_run(5)
        assert d.w.run(one) == []
        # Who changed the run found it there, or came too early for it.
        assert seen == [[] if moment == "before" else [f"{one.id}/w1"]]
        assert [dispatch.envelope.id for dispatch in d.w.dispatched] == [f"{one.id}/w1"]
        d.w.clock.advance(CONTROL_SECONDS)
        d.work_off()
        d.release()
        d.work_off()
        assert d.sent() == (5 if state is RunState.SENDING else 0)
        end = "sent" if state is RunState.SENDING else "recalled"
        assert {event.index for r in d.w.records for event in r.events if event.stage == end} == set(range(5))


def test_a_change_between_parking_and_the_last_look_is_seen() -> None:
    """The release came by before, for another reason; only the last look shows that the run goes on."""
    with parking_harness() as d:
        d.let(RunState.PAUSED)
        d.parking.after = lambda: d.let(RunState.SENDING)
        d.w.run(of_run(2))
        d.work_off()
        assert d.sent() == 2


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_redelivery_of_the_parent_after_the_release_sends_nothing_twice(first: str) -> None:
    with parking_harness() as d:
        one = of_run(4)
        d.let(RunState.PAUSED)
        d.w.run(one)
        d.resume()
        if first == "child":
            d.work_off()
        d.w.clock.advance(60)
        assert d.w.run(one) == []
        d.work_off()
        assert (d.sent(), d.kept()) == (4, [])


def test_whoever_dies_between_the_ledger_and_the_place_loses_nothing() -> None:
    def die() -> None:
        raise CrashError

    for moment in ("before", "after"):
        for state in (RunState.PAUSED, RunState.SENDING):
            with parking_harness() as d:
                d.let(RunState.PAUSED)
                setattr(d.parking, moment, die)
                one = of_run(2)
                with pytest.raises(CrashError):
                    d.w.run(one)
                setattr(d.parking, moment, lambda: None)
                if state is RunState.SENDING:
                    d.resume()
                d.w.clock.advance(120)
                assert d.w.run(one) == []
                if state is RunState.PAUSED:
                    assert d.kept() == [f"{one.id}/w1"] and d.w.dispatched == []
                    d.resume()
                d.work_off()
                assert d.sent() == 2


def test_a_run_is_cancelled_between_two_waves() -> None:
    def script(message: Outgoing) -> Outcome:
        if len(d.w.providers["main"].sent) == 1:
            d.let(RunState.CANCELLED)
            d.w.clock.advance(CONTROL_SECONDS)
        return SENT

    with parking_harness(script) as d:
        d.w.run(of_run(100))
        d.work_off()
        assert d.sent() == 34
        assert d.w.stages() == {"accepted": 100, "sent": 34, "recalled": 66}


def test_pause_and_resume_again_and_again() -> None:
    """Two recipients a second go, and the run is paused and resumed between them all the time."""

    def script(message: Outgoing) -> Outcome:
        sent = len(d.w.providers["main"].sent)
        if sent % 40 == 20:
            d.let(RunState.PAUSED)
            d.w.clock.advance(CONTROL_SECONDS)
        return SENT

    with parking_harness(script) as d:
        d.w.providers["main"].threads = 1  # type: ignore[misc]  # of this instance
        d.queued.append(of_run(100))
        for _ in range(20):
            d.work_off()
            if not d.parking.any("default", RUN):
                break
            d.resume()
        assert d.sent() == 100 and d.kept() == []
        assert d.w.stages()["sent"] == 100


def test_a_run_is_read_once_in_two_seconds_however_much_is_sent() -> None:
    with parking_harness() as d:

        def reads() -> int:
            return int(d.asked.names.count("get_item"))

        before = reads()
        for k in range(20):
            d.w.run(replace(of_run(100), id=of_run(k + 1).id[:-2] + f"{k:02d}"))
        assert reads() - before == 1
        d.w.clock.advance(CONTROL_SECONDS)
        d.w.run(of_run(1))
        assert reads() - before == 2


def test_the_last_look_is_at_what_is_stored_now() -> None:
    """What is answered from a replica may be from before the resume, whose release has been by already."""
    with parking_harness() as d:
        d.let(RunState.PAUSED)
        plain, looks = d.asked.get_item, list[bool]()

        def get_item(**given: Any) -> Any:
            looks.append(given["ConsistentRead"])
            return plain(**given)

        d.asked.get_item = get_item
        d.w.run(of_run(1))
        assert looks == [False, True]


def test_without_a_run_no_request_more_is_made() -> None:
    with parking_harness() as d:
        d.asked.names.clear()
        for count in (1, 100):
            d.w.run(envelope(count, id=of_run().id[:-3] + f"{count:03d}"))
        assert d.asked.names == []
