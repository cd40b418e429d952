"""How dispatch obeys a run: who is held and who ends, when that is looked at, and that nothing is lost over it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from functions.trace.words import describe, explain
from shared.dispatch.plan import WAVE_RECIPIENTS
from shared.dispatch.runs import Runs
from shared.lifecycle.settle import settle
from shared.lifecycle.tail import tail
from shared.model.accounts import Rate
from shared.model.envelope import Envelope
from shared.model.events import EventRow, fold
from shared.model.ids import Numbering, derived_base
from shared.model.outcome import Outcome, Rejected, Retry, Sent, Unknown
from shared.model.policies import Cap, Policies
from shared.model.reasons import Reason
from shared.model.runs import RunState
from shared.model.suppression import SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import KeyKind, MessageClass
from shared.providers.base import Outgoing
from shared.store.campaigns import Control
from shared.store.ledger import Entry
from tests.fakes import out_of_reach
from tests.samples import NOW, envelope
from tests.unit.shared.dispatch.decide.test_steps_duplicates_and_caps import platform
from tests.unit.shared.dispatch.harness import DispatchHarness, harness
from tests.unit.shared.dispatch.test_waves import CrashError, crash_at, later
from tests.unit.shared.lifecycle import test_fallback

RUN = "spring.01JZ0000000000000000000000"
PAUSED, SENDING, CANCELLED = RunState.PAUSED, RunState.SENDING, RunState.CANCELLED
SENT = Sent("p")


def of_run(count: int = 1, **changes: Any) -> Envelope:
    return envelope(count, **{"run": RUN, "message_class": MessageClass.MARKETING, **changes})


def let(w: DispatchHarness, state: RunState | None) -> None:
    """Have the run in a state; None for no such run."""
    w.controls.pop(RUN, None)
    if state is not None:
        w.controls[RUN] = Control(state, w.clock.now_ms(), "key-7")


def calls(w: DispatchHarness) -> int:
    return len(w.providers["main"].sent)


def events(w: DispatchHarness, stage: str) -> list[EventRow]:
    return [event for record in w.records for event in record.events if event.stage == stage]


# Before it is planned


def test_while_its_run_is_paused_an_envelope_is_held() -> None:
    with harness() as w:
        let(w, PAUSED)
        one = of_run(3)
        assert w.run(one) == []
        assert (calls(w), w.dispatched, w.asked_of) == (0, [], [])
        assert w.stages() == {"accepted": 3, "deferred": 3}
        event = events(w, "deferred")[0]
        assert (event.reason, event.note, event.nth, event.at) == (Reason.RUN_PAUSED, "key-7", 1, NOW)
        assert event.due_at is None
        [held] = w.parked
        assert (held.id, held.run, held.times_put_off, held.attempt) == (f"{one.id}/w1", RUN, 1, 0)
        assert held.recipients == one.recipients and held.expires_at == one.expires_at
        # Closed before it is parked, and looked at anew afterwards; told last.
        assert w.log == ["acquire", "park", "stream"]
        assert w.control_reads == [(RUN, False), (RUN, False), (RUN, True)]


def test_what_was_held_goes_on_with_its_run() -> None:
    with harness() as w:
        let(w, PAUSED)
        one = of_run(3)
        w.run(one)
        let(w, SENDING)
        later(w, 5000)
        assert w.run(w.parked[0]) == []
        # However often it is brought.
        assert w.run(w.parked[0]) == [] and w.run(one) == []
        assert [(d.envelope.id, d.due_at) for d in w.dispatched] == [(f"{one.id}/w1", None)] and len(w.parked) == 1
        assert calls(w) == 3 and w.stages()["sent"] == 6
        assert len({m.message_id for m in w.providers["main"].sent}) == 3


def test_what_is_held_twice_is_so_under_other_ids() -> None:
    with harness() as w:
        let(w, PAUSED)
        w.run(of_run(1))
        later(w, 10)
        w.run(w.parked[0])
        assert [e.id.partition("/")[2] for e in w.parked] == ["w1", "w1/w2"]
        assert [e.nth for e in events(w, "deferred")] == [1, 2]


@pytest.mark.parametrize("state", [None, *(s for s in RunState if s not in {PAUSED, CANCELLED, "failed", "skipped"})])
def test_any_other_run_goes_on_and_so_does_one_that_is_gone(state: RunState | None) -> None:
    with harness() as w:
        let(w, state)
        assert w.run(of_run(2)) == []
        assert calls(w) == 2 and w.parked == []


@pytest.mark.parametrize("state", [CANCELLED, RunState.FAILED, RunState.SKIPPED])
def test_of_a_run_that_ended_nothing_more_is_sent(state: RunState) -> None:
    with harness() as w:
        let(w, state)
        one = of_run(3, maybe_sent=[1])
        assert w.run(one) == []
        assert (calls(w), w.dispatched, w.parked) == (0, [], [])
        # Of whom an earlier try may have come through, nobody can say that it was stopped.
        assert w.stages() == {"accepted": 3, "recalled": 2, "unknown": 1}
        [event] = events(w, "unknown")
        assert (event.index, event.reason, event.note) == (1, Reason.RUN_CANCELLED, "key-7")
        assert {e.reason for e in events(w, "recalled")} == {Reason.RUN_CANCELLED}
        assert w.control_reads == [(RUN, False)]


def test_who_is_on_no_run_is_not_asked_about() -> None:
    with harness() as w:
        w.broken.add("control")
        assert w.run(envelope(100)) == []
        assert w.log == ["acquire", "record", "record", "record", "stream"] and calls(w) == 100


def test_who_is_only_asked_about_goes_on() -> None:
    """Asking sends nothing, and what came of an earlier try is worth knowing."""
    for state in (PAUSED, CANCELLED):
        with harness() as w:
            main, asked = w.providers["main"], list[str]()
            main.looks_up = True  # type: ignore[misc]  # of this instance

            def look_up(
                messages: list[Outgoing], began: int, ended: int, asked: list[str] = asked, state: RunState = state
            ) -> list[Outcome]:
                asked.extend(m.to for m in messages)
                let(w, state)
                return [SENT if m.to == "u0@example.com" else Retry(Reason.NOT_TAKEN, "") for m in messages]

            main.look_up = look_up  # type: ignore[method-assign, assignment]  # of this instance
            let(w, state)
            one = of_run(4, ask_account={0: "main", 1: "main"}, tried_between=(NOW - 9, NOW - 5))
            assert w.run(one) == []
            assert sorted(asked) == ["u0@example.com", "u1@example.com"] and calls(w) == 0
            stage = "deferred" if state is PAUSED else "recalled"
            assert w.stages() == {"accepted": 4, "sent": 1, "retrying": 1, stage: 2}
            [again] = w.dispatched
            # The new try is another matter.
            later(w, 10_000)
            assert w.run(again.envelope) == [] and calls(w) == 0
            assert w.stages()[stage] == 3


def test_what_is_over_anyway_is_not_held() -> None:
    with harness() as w:
        let(w, PAUSED)
        assert w.run(of_run(2, expires_at=NOW)) == []
        assert w.stages() == {"accepted": 2, "expired": 2}
        assert (w.parked, w.control_reads) == ([], [])


@pytest.mark.parametrize("state", [PAUSED, CANCELLED])
def test_who_was_recalled_is_recalled_whatever_the_run_is(state: RunState) -> None:
    with harness() as w:
        let(w, state)
        one = of_run(3)
        w.mark(one, 1)
        assert w.run(one) == []
        assert [e.index for e in events(w, "recalled") if e.reason == Reason.RECALLED] == [1]
        assert sum(len(e.recipients) for e in w.parked) == (2 if state is PAUSED else 0)


def test_who_is_on_the_list_is_so_when_the_run_goes_on() -> None:
    with harness() as w:
        let(w, PAUSED)
        one = of_run(1)
        w.suppressed[one.recipients[0].tag] = [
            SuppressionEntry(scope=SuppressionScope.ALL, reason=SuppressionReason.UNSUBSCRIBE, at=NOW, by="k")
        ]
        w.run(one)
        let(w, SENDING)
        w.run(w.parked[0])
        assert w.stages() == {"accepted": 1, "deferred": 1, "suppressed": 1}


def test_test_keys_obey_too() -> None:
    with harness() as w:
        let(w, PAUSED)
        w.run(of_run(2, kind=KeyKind.TEST))
        assert w.stages() == {"accepted": 2, "deferred": 2} and len(w.parked) == 1


def test_what_is_known_of_a_run_is_asked_once_for_all_that_are_worked_on_at_once() -> None:
    """The second comes while the first one's question is under way, and asks none of its own."""
    entered, answer, asked = threading.Semaphore(0), threading.Event(), list[str]()

    class Slow:
        def control(self, tenant: str, run: str, fresh: bool = False) -> Control | None:
            asked.append(run)
            assert answer.wait(10)
            return Control(PAUSED, NOW, "key")

        def put(self, envelopes: Any) -> None: ...

    class Counted:
        """A lock that tells when somebody left it."""

        def __init__(self) -> None:
            self._lock = threading.Lock()

        def __enter__(self) -> None:
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()
            entered.release()

    with harness() as w, ThreadPoolExecutor(3) as pool:
        slow = Slow()
        runs = Runs(slow, slow, w.clock)
        runs._lock = Counted()  # type: ignore[assignment]  # plays a lock
        several = [of_run(1) for _ in range(3)]
        waiting = [pool.submit(runs.stopped, each, each.recipients) for each in several]
        for _ in several:
            assert entered.acquire(timeout=10)
        answer.set()
        assert [[row.reason for row in future.result(10)] for future in waiting] == [["run_paused"]] * 3
        assert asked == [RUN]


# Between waves


@pytest.mark.parametrize(("state", "stage"), [(PAUSED, "deferred"), (CANCELLED, "recalled")])
def test_a_later_wave_is_not_sent_any_more(state: RunState, stage: str) -> None:
    def script(message: Outgoing) -> Outcome:
        let(w, state)
        return SENT

    with harness(script) as w:
        let(w, SENDING)
        one = of_run(100)
        assert w.run(one) == []
        # What was handed on by then stands.
        assert calls(w) == WAVE_RECIPIENTS
        assert w.stages() == {"accepted": 100, "sent": WAVE_RECIPIENTS, stage: 100 - WAVE_RECIPIENTS}
        assert w.entries[one.id].closed and w.log.count("record") == 1
        if state is PAUSED:
            let(w, SENDING)
            w.providers["main"].script = lambda m: SENT
            assert w.run(w.parked[0]) == []
            assert len({m.message_id for m in w.providers["main"].sent}) == calls(w) == 100
        else:
            assert (w.parked, w.dispatched) == ([], [])


def test_who_is_only_asked_about_goes_on_in_later_waves_too() -> None:
    for state in (PAUSED, CANCELLED):
        with harness() as w:
            main, asked = w.providers["main"], list[str]()

            def look_up(
                messages: list[Outgoing], began: int, ended: int, asked: list[str] = asked, state: RunState = state
            ) -> list[Outcome]:
                asked.extend(m.to for m in messages)
                let(w, state)
                return [SENT] * len(messages)

            main.looks_up = True  # type: ignore[misc]  # of this instance
            main.look_up = look_up  # type: ignore[method-assign, assignment]  # of this instance
            let(w, SENDING)
            unsure = dict.fromkeys(range(50), "main")
            assert w.run(of_run(100, ask_account=unsure, tried_between=(NOW - 9, NOW - 5))) == []
            assert len(asked) == 50 and calls(w) == 0
            assert w.stages() == {"accepted": 100, "sent": 50, "deferred" if state is PAUSED else "recalled": 50}


def test_without_an_answer_who_is_only_asked_about_goes_on() -> None:
    with harness() as w:
        main = w.providers["main"]

        def look_up(messages: list[Outgoing], began: int, ended: int) -> list[Outcome]:
            w.broken.add("control")
            return [SENT] * len(messages)

        main.looks_up = True  # type: ignore[misc]  # of this instance
        main.look_up = look_up  # type: ignore[method-assign, assignment]  # of this instance
        let(w, SENDING)
        assert w.run(of_run(60, ask_account=dict.fromkeys(range(50), "main"), tried_between=(NOW - 9, NOW - 5))) == []
        assert w.stages() == {"accepted": 60, "sent": 50} and calls(w) == 0
        assert [(d.envelope.id[-3:], len(d.envelope.recipients)) for d in w.dispatched] == [("/c1", 10)]


def test_it_is_looked_at_before_each_wave_but_not_after_the_last() -> None:
    with harness() as w:
        let(w, SENDING)
        w.run(of_run(100))
        assert w.control_reads == [(RUN, False)] * 3


def test_a_recall_between_waves_comes_before_a_pause() -> None:
    def script(message: Outgoing) -> Outcome:
        if w.controls[RUN].state is SENDING:
            let(w, PAUSED)
            w.mark(one, 50, 60)
        return SENT

    with harness(script) as w:
        let(w, SENDING)
        one = of_run(100)
        assert w.run(one) == []
        assert {e.index for e in events(w, "recalled")} == {50, 60}
        assert not {50, 60} & {r.index for r in w.parked[0].recipients} and len(w.parked[0].recipients) == 64


def test_a_retry_that_was_under_way_is_held_and_stays_one() -> None:
    with harness(lambda m: Retry(Reason.THROTTLED, "454")) as w:
        let(w, SENDING)
        w.run(of_run(1))
        let(w, PAUSED)
        later(w, 600)
        [retry] = w.dispatched
        w.run(retry.envelope)
        assert calls(w) == 1
        [held] = w.parked
        assert (held.id.partition("/")[2], held.attempt, held.times_put_off) == ("r1/w1", 1, 1)
        w.providers["main"].script = lambda m: SENT
        let(w, CANCELLED)
        w.run(held)
        assert calls(w) == 1 and w.stages() == {"accepted": 1, "retrying": 1, "deferred": 1, "recalled": 1}


def test_a_redrive_and_a_fallback_obey_too() -> None:
    with harness() as w:
        let(w, PAUSED)
        redriven = of_run(1, id=f"{of_run().id}/d0/g1", generation=1)
        w.run(redriven)
        assert [(e.stage, e.nth) for r in w.records for e in r.events] == [("deferred", 101)]
        let(w, CANCELLED)
        w.run(w.parked[0])
        assert [(e.stage, e.nth) for e in events(w, "recalled")] == [("recalled", 1)]
    refused: Any = Rejected(Reason.ADDRESS_UNKNOWN, "550")
    with harness(lambda m: refused) as w:
        let(w, SENDING)
        one = test_fallback.one(2, run=RUN, message_class=MessageClass.MARKETING)
        w.run(one)
        [fallen] = test_fallback.children(w)
        assert fallen.run == RUN
        # A cancelled message is not wanted on any channel.
        let(w, CANCELLED)
        w.dispatched.clear()
        w.run(replace(one, id=Numbering(derived_base(NOW, "other"))(0)))
        assert w.dispatched == []


# What fails and what dies


def test_without_an_answer_nothing_is_sent_and_the_envelope_comes_back() -> None:
    with harness() as w:
        w.broken.add("control")
        other = envelope(1, id=Numbering(derived_base(NOW, "other"))(0))
        assert w.run(of_run(2), other) == ["0"]
        assert calls(w) == 1
        assert set(w.entries) == {other.id}


def test_without_an_answer_between_waves_what_was_sent_is_recorded_and_the_rest_carried_on() -> None:
    def script(message: Outgoing) -> Outcome:
        w.broken.add("control")
        return SENT

    with harness(script) as w:
        let(w, SENDING)
        one = of_run(100)
        assert w.run(one) == []
        assert w.stages() == {"accepted": 100, "sent": WAVE_RECIPIENTS}
        [rest] = w.dispatched
        assert (rest.envelope.id, len(rest.envelope.recipients)) == (f"{one.id}/c1", 100 - WAVE_RECIPIENTS)
        w.broken.clear()
        w.providers["main"].script = lambda m: SENT
        assert w.run(rest.envelope) == [] and calls(w) == 100


def test_what_cannot_be_held_comes_back_and_keeps_no_other_back() -> None:
    with harness() as w:
        let(w, PAUSED)
        one = of_run(2)
        other = envelope(1, id=Numbering(derived_base(NOW, "other"))(0))
        w.broken.add("park")
        assert w.run(one, other) == ["0"]
        assert w.entries[one.id].closed and calls(w) == 1
        w.broken.clear()
        assert w.run(one) == []
        assert [e.id for e in w.parked] == [f"{one.id}/w1"] and calls(w) == 1


def test_a_look_that_fails_after_parking_is_made_again() -> None:
    class Moody:
        def __init__(self) -> None:
            self.fresh = 0

        def control(self, tenant: str, run: str, fresh: bool = False) -> Control | None:
            self.fresh += fresh
            if fresh and self.fresh == 1:
                raise out_of_reach("dynamodb")
            return w.control(tenant, run, fresh)

    with harness() as w:
        let(w, PAUSED)
        w.parts.runs._controls = Moody()
        one = of_run(1)
        assert w.run(one) == ["0"]
        let(w, SENDING)
        assert w.run(one) == []
        assert [d.envelope.id for d in w.dispatched] == [f"{one.id}/w1"]


def test_a_run_that_goes_on_before_its_envelope_is_held_has_it_queued_too() -> None:
    for state in (SENDING, CANCELLED, None):
        with harness() as w:
            let(w, PAUSED)
            plain = w._step

            def stepping(name: str, w: DispatchHarness = w, plain: Any = plain, state: RunState | None = state) -> None:
                if name == "park":
                    let(w, state)
                plain(name)

            w._step = stepping  # type: ignore[method-assign]  # of this instance
            assert w.run(of_run(2)) == []
            [dispatch] = w.dispatched
            assert (dispatch.envelope, dispatch.due_at) == (w.parked[0], None)
            assert w.run(dispatch.envelope) == []
            assert calls(w) == (0 if state is CANCELLED else 2)


def test_whoever_dies_between_closing_and_holding_loses_nothing() -> None:
    for state, sent in ((PAUSED, 0), (SENDING, 3), (CANCELLED, 0)):
        with harness() as w:
            let(w, PAUSED)
            one = of_run(3)
            crash_at(w, "park")
            with pytest.raises(CrashError):
                w.run(one)
            assert (w.parked, w.entries[one.id].closed) == ([], True)
            let(w, state)
            later(w)
            assert w.run(one) == []
            # What was decided stands; what follows from it is looked at anew.
            assert [e.id for e in w.parked] == ([f"{one.id}/w1"] if state is PAUSED else [])
            assert [d.envelope.id for d in w.dispatched] == ([] if state is PAUSED else [f"{one.id}/w1"])
            for dispatch in w.dispatched:
                assert w.run(dispatch.envelope) == []
            assert calls(w) == sent


def test_an_envelope_that_its_queue_gave_up_is_queued_to_be_held_anew() -> None:
    with harness() as w:
        let(w, PAUSED)
        one = of_run(2)
        w.broken.add("park")
        assert w.run(one) == ["0"]

        class Closed:
            def acquire(self, envelope_id: str, entry: Entry) -> Entry | None:
                return w.entries[envelope_id]

            def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None:
                raise AssertionError

        result = settle(one, Closed(), w.clock)
        assert ([d.envelope.id for d in result.dispatches], result.parked) == ([f"{one.id}/w1"], [])
        w.broken.clear()
        assert w.run(result.dispatches[0].envelope) == []
        assert [e.id for e in w.parked] == [f"{one.id}/w1/w2"] and calls(w) == 0


# What messages hold

LIMITED = Policies(duplicate_seconds=3600, cap=Cap(count=1, minutes=60))


def another(k: int, count: int) -> Envelope:
    base = derived_base(NOW, "request", str(k))
    return of_run(count, id=Numbering(base)(0), request=base, run=None)


def test_what_is_held_before_it_is_planned_holds_nothing() -> None:
    with platform(LIMITED) as (w, asked):
        let(w, PAUSED)
        w.run(of_run(2))
        assert asked.names == []
        w.run(another(1, 2))
        assert calls(w) == 2


def test_what_is_held_between_waves_keeps_its_place_and_a_cancelled_message_gives_it_back() -> None:
    for after, stages in (
        (SENDING, {"sent": 40, "deferred": 6, "duplicate": 40}),
        (CANCELLED, {"sent": 40, "deferred": 6, "duplicate": 34, "recalled": 6}),
    ):
        with platform(LIMITED) as (w, _):

            def script(message: Outgoing, w: DispatchHarness = w) -> Outcome:
                let(w, PAUSED)
                return SENT

            w.providers["main"].script = script
            let(w, SENDING)
            w.run(of_run(40))
            w.providers["main"].script = lambda m: SENT
            let(w, after)
            w.run(w.parked[0])
            w.run(another(1, 40))
            found = {stage: count for stage, count in w.stages().items() if stage != "accepted"}
            assert found == stages


def test_another_message_finds_the_place_of_one_that_is_held_taken() -> None:
    with platform(LIMITED) as (w, _):

        def script(message: Outgoing) -> Outcome:
            let(w, PAUSED)
            return SENT

        w.providers["main"].script = script
        let(w, SENDING)
        w.run(of_run(40))
        w.run(another(1, 40))
        assert w.stages()["duplicate"] == 40


def test_places_in_a_rate_are_taken_anew() -> None:
    with platform(None) as (w, asked):

        def script(message: Outgoing) -> Outcome:
            let(w, PAUSED)
            return SENT

        w.add_account("main", script, rate=Rate(per_second=50, burst=50, code_share=0))
        let(w, SENDING)
        w.run(of_run(50))
        assert calls(w) == WAVE_RECIPIENTS
        [held] = w.parked
        assert held.places == {}
        w.providers["main"].script = lambda m: SENT
        let(w, SENDING)
        later(w, 3600)
        taken = asked.names.count("update_item")
        assert w.run(held) == []
        assert calls(w) == 50 and asked.names.count("update_item") > taken


def test_what_is_paused_takes_no_places_in_a_rate() -> None:
    with platform(None) as (w, asked):
        w.add_account("main", lambda m: SENT, rate=Rate(per_second=50, burst=50, code_share=0))
        let(w, PAUSED)
        w.run(of_run(50))
        assert asked.names == []


# What people read


def test_a_message_that_is_held_says_so() -> None:
    with harness() as w:
        let(w, PAUSED)
        w.run(of_run(1))
        [event] = events(w, "deferred")
        assert describe(event) == (
            "Held while its campaign's run is paused; it goes on, or ends, with the run. Paused by: key-7."
        )
        assert "resume" in explain(event)[1]
        status = fold([e for r in w.records for e in r.events])
        assert (status.state, status.final, status.reason) == ("deferred", False, "run_paused")
        let(w, CANCELLED)
        w.run(w.parked[0])
        [end] = events(w, "recalled")
        assert describe(end).endswith("Ended by: key-7.") and "cancelled" in describe(end)
        assert fold([e for r in w.records for e in r.events]).final


def test_held_and_late_ones_of_an_envelope_carry_on_apart() -> None:
    held: dict[str, Any] = {"stage": "deferred", "reason": "run_paused"}
    late: dict[str, Any] = {
        "stage": "deferred",
        "reason": "rate_limited",
        "account": "main",
        "due_at": NOW + 5000,
        "place_at": NOW + 6000,
    }
    rows = [EventRow(index=i, tag="T" * 16, nth=1, at=NOW, **e) for i, e in enumerate([held, late, held])]
    found = tail(of_run(3, maybe_sent=[2]), rows)
    [dispatch], [parked] = found.dispatches, found.parked
    assert (dispatch.envelope.id[-3:], dispatch.due_at, dispatch.envelope.places) == (
        "/w1",
        NOW + 5000,
        {"main": NOW + 6000},
    )
    assert (parked.id[-5:], [r.index for r in parked.recipients], parked.maybe_sent, parked.places) == (
        "/w1.1", [0, 2], [2], {},
    )  # fmt: skip


def test_an_unknown_outcome_of_a_cancelled_run_stays_unknown() -> None:
    """A notification that may have come through would be sent again; its run is over by then."""
    with harness(lambda m: Unknown(Reason.TIMED_OUT, "lost")) as w:
        let(w, SENDING)
        w.run(of_run(1, message_class=MessageClass.NOTIFICATION))
        let(w, CANCELLED)
        later(w, 600)
        w.run(w.dispatched[0].envelope)
        assert calls(w) == 1 and w.stages() == {"accepted": 1, "retrying": 1, "unknown": 1}
