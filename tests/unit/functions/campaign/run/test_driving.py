"""The driver: moves runs on, mends what broke off, stops and finishes them."""

import random
import re
from collections import Counter
from typing import Any

import pytest

from functions.campaign.file.failures import RunFailedError
from functions.campaign.run import control
from functions.campaign.run.driving import GIVEN_UP, STUCK, broken_rule
from shared.model.campaigns import StopRule
from shared.model.runs import Purpose, Run, RunState
from shared.model.tasks import DriveTask
from shared.model.words import Stage
from tests.samples import NOW, TENANT
from tests.unit.functions.campaign.audience import run_of
from tests.unit.functions.campaign.run_harness import KEY, MOST_STEPS, RunHarness, run_harness

DAY_MS = 86_400_000


def all_sent(one: RunHarness, run: Run) -> Run:
    """The run, once everybody in its file who can be sent to got one message and it is finished."""
    found = one.run(run.id)
    assert (found.state, found.problem) == (RunState.FINISHED, None)
    assert len(one.outbox.addresses()) == one.rows.good
    assert set(one.outbox.addresses().values()) == {1}
    assert found.tally.accepted == one.rows.good
    assert found.outcomes == dict.fromkeys(("accepted", one.ends.value, *one.reported), one.rows.good)
    assert one.campaigns.open_runs(TENANT.id) == []
    return found


def look(one: RunHarness, run: Run) -> None:
    """Have the driver look at a run, as the watch does."""
    one.tasks.send([DriveTask(tenant=TENANT.id, run=run.id, tick=one.run(run.id).tick)])


def test_a_run_from_start_to_end() -> None:
    with run_harness() as one:
        run = one.start()
        one.drain()
        found = all_sent(one, run)
        assert found.tally.rows == 2500
        assert found.tally.rejected == {"address_invalid": 250}
        assert found.reasons == {f"{one.ends}:address_unknown": one.rows.good}
        assert found.estimate is not None
        assert found.estimate.messages == one.rows.good
        # Each task once, and a handful of looks.
        counts = {name: n for name, n in one.tasks.sent.items() if name != "drive"}
        assert counts == {"plan": 1, "check": 3, "compare": 1, "send": 3}
        assert one.tasks.sent["drive"] < 15


def test_a_check_ends_when_everything_is_read() -> None:
    with run_harness() as one:
        run = one.start(purpose=Purpose.CHECK)
        one.drain()
        found = one.run(run.id)
        assert (found.state, found.tally.messages, found.over_at is not None) == (RunState.CHECKED, 2250, True)
        assert one.outbox.envelopes == {}


def test_a_large_run_waits_for_its_approval() -> None:
    with run_harness() as one:
        run = one.start(one.campaign(approve_above=2249))
        one.drain()
        assert one.run(run.id).state is RunState.AWAITING_APPROVAL
        look(one, run)
        one.drain()
        assert one.outbox.envelopes == {}
        approved = one.campaigns.change_run(TENANT.id, run.id, lambda r: control.approve(r, one.clock.now_ms(), "k2"))
        assert approved is not None
        one.tasks.send(control.tasks_after(approved))
        one.drain()
        assert all_sent(one, run).approved_by == "k2"


def test_a_run_that_is_small_enough_needs_no_approval() -> None:
    with run_harness() as one:
        run = one.start(one.campaign(approve_above=2250))
        one.drain()
        all_sent(one, run)


def test_a_run_with_nothing_to_send_fails() -> None:
    with run_harness(sizes=(1,)) as one:
        run = one.start()
        one.drain()
        found = one.run(run.id)
        assert found.state is RunState.FAILED
        assert found.problem is not None
        assert found.problem.startswith("There is nothing to send: of 1 rows 1 were rejected")


def test_a_run_whose_file_cannot_be_read_fails_with_the_reason() -> None:
    with run_harness() as one:
        one.rows.fails = RunFailedError("The file is empty.")
        run = one.start()
        one.drain()
        found = one.run(run.id)
        assert (found.state, found.problem) == (RunState.FAILED, "The file is empty.")
        assert one.campaigns.open_runs(TENANT.id) == []


def test_old_looks_are_dropped() -> None:
    with run_harness() as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).tick >= 2)
        before = len(one.tasks.waiting)
        one.driver.drive(DriveTask(tenant=TENANT.id, run=run.id, tick=0))
        assert len(one.tasks.waiting) == before
        one.drain()
        all_sent(one, run)


def test_looks_that_are_doubled_become_one_again() -> None:
    with run_harness(sizes=(200,)) as one:
        one.ends = Stage.SENT
        one.trace = False
        run = one.start()
        for _ in range(3):
            look(one, run)
        one.drain(lambda: one.run(run.id).expanded_at is not None)
        for _ in range(30):
            one.step()
        assert len(one.tasks.waiting) == 1


@pytest.mark.parametrize("kind", ["plan", "check", "compare", "send"])
def test_tasks_that_are_lost_are_queued_again(kind: str) -> None:
    with run_harness() as one:
        run = one.start()
        lost: list[str] = []
        for _ in range(MOST_STEPS):
            for entry in [each for each in one.tasks.waiting if f'"task":"{kind}"' in each[2]]:
                if len(lost) < 3:
                    lost.append(entry[2])
                    one.tasks.waiting.remove(entry)
            if not one.step():
                break
        assert lost
        all_sent(one, run)


def test_a_lost_look_is_made_up_by_the_watch() -> None:
    with run_harness() as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is RunState.SENDING)
        one.tasks.waiting.clear()
        one.clock.advance(300)
        look(one, run)
        one.drain()
        all_sent(one, run)


def test_a_run_that_does_not_move_says_so_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness() as one:
        run = one.start()
        with monkeypatch.context() as patched:
            patched.setattr(one.worker, "_check", lambda *_: None)
            one.drain(lambda: one.clock.now_ms() - NOW > 590_000)
            assert one.run(run.id).problem is None
            one.drain(lambda: one.clock.now_ms() - NOW > 620_000)
            assert one.run(run.id).problem == STUCK
            assert one.run(run.id).state is RunState.CHECKING
        one.drain()
        all_sent(one, run)


def test_a_throttled_run_is_not_taken_for_stuck() -> None:
    with run_harness(sizes=(40,)) as one:
        run = one.start(throttle=1)
        one.drain(lambda: one.run(run.id).problem is not None)
        all_sent(one, run)


def test_messages_without_an_outcome_end_a_run_after_three_days_and_their_time_to_live() -> None:
    with run_harness(sizes=(200,)) as one:
        one.trace = False
        run = one.start(one.campaign(ttl=3600))
        one.drain(lambda: one.run(run.id).over)
        found = one.run(run.id)
        assert (found.state, found.problem) == (RunState.FINISHED, "180 messages have no outcome yet.")
        assert found.expanded_at is not None
        assert found.over_at is not None
        waited = found.over_at - found.expanded_at
        assert 3 * DAY_MS + 3_600_000 <= waited <= 3 * DAY_MS + 3_901_000


def test_while_outcomes_are_awaited_looks_become_rare() -> None:
    with run_harness(sizes=(200,)) as one:
        one.trace = False
        run = one.start()
        one.drain(lambda: one.run(run.id).expanded_at is not None)
        looks, begun = one.tasks.sent["drive"], one.clock.now_ms()
        one.drain(lambda: one.clock.now_ms() - begun > 3_600_000)
        assert one.tasks.sent["drive"] - looks < 160
        one.trace = True
        one.drain()
        all_sent(one, run)


def test_a_run_that_is_paused_goes_on_where_it_was() -> None:
    with run_harness(slice_rows=100) as one:
        run = one.start()
        one.drain(lambda: len(one.outbox.envelopes) > 3)
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.pause(found, one.clock.now_ms(), KEY))
        one.drain()
        held = len(one.outbox.envelopes)
        assert one.run(run.id).state is RunState.PAUSED
        one.clock.advance(5)
        resumed = one.campaigns.change_run(
            TENANT.id, run.id, lambda found: control.resume(found, one.clock.now_ms(), KEY)
        )
        assert resumed is not None
        one.tasks.send(control.tasks_after(resumed))
        one.drain()
        assert len(one.outbox.envelopes) >= held
        assert all_sent(one, run).paused_ms >= 5000


@pytest.mark.parametrize("state", [RunState.PLANNING, RunState.CHECKING, RunState.SENDING])
def test_a_run_can_be_paused_in_any_state_in_which_it_works(state: RunState) -> None:
    with run_harness() as one:
        run = one.start()
        one.drain(lambda: one.run(run.id).state is state)
        one.campaigns.change_run(TENANT.id, run.id, lambda found: control.pause(found, one.clock.now_ms(), KEY))
        one.drain()
        assert one.run(run.id).state is RunState.PAUSED
        assert one.outbox.envelopes == {}
        one.clock.advance(100)
        resumed = one.campaigns.change_run(
            TENANT.id, run.id, lambda found: control.resume(found, one.clock.now_ms(), KEY)
        )
        assert resumed is not None
        one.tasks.send(control.tasks_after(resumed))
        one.drain()
        all_sent(one, run)


def test_a_cancelled_run_stops_and_has_its_report_once_it_is_quiet() -> None:
    with run_harness(sizes=(5000, 5000), slice_rows=1000) as one:
        run = one.start()
        one.outbox.before = lambda: stop() if len(one.outbox.envelopes) >= 20 else None

        def stop() -> None:
            one.campaigns.change_run(TENANT.id, run.id, lambda found: control.cancel(found, one.clock.now_ms(), KEY))

        one.drain(lambda: one.run(run.id).over)
        one.outbox.before = None
        one.tasks.send(control.tasks_after(one.run(run.id)))
        one.drain()
        found = one.run(run.id)
        assert found.state is RunState.CANCELLED
        assert 0 < found.tally.accepted < one.rows.good
        assert found.outcomes["accepted"] == found.tally.accepted
        assert one.campaigns.open_runs(TENANT.id) == []


def test_a_run_pauses_once_by_its_stop_rule() -> None:
    with run_harness(sizes=(1000,) * 5) as one:
        one.ends = Stage.FAILED
        rule = StopRule(after=500, failures_percent=10)
        run = one.start(one.campaign(stop_rule=rule), throttle=600)
        one.drain()
        found = one.run(run.id)
        assert (found.state, found.state_by, found.stop_rule_done) == (RunState.PAUSED, "stop rule", True)
        assert found.problem is not None
        assert "messages with an outcome" in found.problem
        assert "(100.0 %; 10 % are allowed)" in found.problem
        assert 500 <= len(one.outbox.addresses()) < 1000
        resumed = one.campaigns.change_run(
            TENANT.id, run.id, lambda stored: control.resume(stored, one.clock.now_ms(), KEY)
        )
        assert resumed is not None
        one.tasks.send(control.tasks_after(resumed))
        one.drain()
        all_sent(one, run)


@pytest.mark.parametrize(
    ("reported", "words"),
    [
        ("undelivered", "messages that were sent 500 came back (100.0 %; 5 % are allowed)"),
        ("complained", "messages that were sent 500 were complained about (100.0 %; 0.3 % are allowed)"),
        ("undelivered.transient", None),
        ("delivered", None),
    ],
)
def test_a_run_pauses_by_what_providers_report(reported: str, words: str | None) -> None:
    with run_harness(sizes=(1000,) * 5) as one:
        one.reported = (reported,)
        run = one.start(one.campaign(stop_rule=StopRule(after=500)), throttle=600)
        one.drain()
        found = one.run(run.id)
        if words is None:
            all_sent(one, run)
            return
        assert (found.state, found.state_by, found.stop_rule_done) == (RunState.PAUSED, "stop rule", True)
        problem = re.sub("[0-9]+ (messages that were sent) [0-9]+", r"\1 500", found.problem or "")
        assert words in problem
        assert 500 <= len(one.outbox.addresses()) < 1000


@pytest.mark.parametrize(
    ("rule", "counts", "broken"),
    [
        (StopRule(after=100, failures_percent=5), {"sent": 94, "failed": 5}, False),
        (StopRule(after=100, failures_percent=5), {"sent": 95, "failed": 5}, False),
        (StopRule(after=100, failures_percent=5), {"sent": 94, "failed": 2, "dead_lettered": 2, "unknown": 2}, True),
        (StopRule(after=100, failures_percent=5), {"sent": 94, "dead_lettered": 20, "redriven": 14}, True),
        (StopRule(after=100, failures_percent=5), {"sent": 94, "suppressed": 50, "expired": 50}, False),
        (StopRule(after=100, complaints_percent=0.1), {"sent": 1000, "complained": 1}, False),
        (StopRule(after=100, complaints_percent=0.1), {"sent": 1000, "complained": 2}, True),
        (StopRule(after=100), {"sent": 1000, "complained": 3, "undelivered": 50}, False),
        (StopRule(after=100), {"sent": 1000, "complained": 4}, True),
        (StopRule(after=100), {"sent": 1000, "undelivered": 51}, True),
        (StopRule(after=100), {"sent": 1000, "undelivered.transient": 900, "delivered": 100}, False),
        # What is not sent cannot come back, and makes no share smaller.
        (StopRule(after=100), {"sent": 99, "suppressed": 5000, "undelivered": 99, "complained": 99}, False),
        (StopRule(after=100), {"sent": 100, "suppressed": 5000, "undelivered": 6}, True),
        (StopRule(after=100, undelivered_percent=None), {"sent": 100, "undelivered": 100}, False),
        (StopRule(after=100, complaints_percent=None), {"sent": 100, "complained": 100}, False),
        (StopRule(after=100, undelivered_percent=100), {"sent": 100, "undelivered": 100}, False),
        (StopRule(after=100), {"failed": 1000}, False),
        (None, {"failed": 1000}, False),
    ],
)
def test_the_stop_rule_counts_what_went_wrong(rule: StopRule | None, counts: dict[str, int], broken: bool) -> None:
    run = run_of(b"to\n", stop_rule=rule)
    assert (broken_rule(run, counts) is not None) is broken
    assert broken_rule(run.moved(stop_rule_done=True), counts) is None


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_breaks_off_anywhere_sends_everything_once(after: bool) -> None:
    """A function dies before or after each of its calls that change something."""
    struck: Counter[str] = Counter()
    for at in range(120):
        with run_harness(sizes=(300, 300, 150), slice_rows=200) as one:
            run = one.start()
            one.points.arm(at, after)
            one.drain()
            if one.points.struck is None:
                break
            struck[one.points.struck] += 1
            try:
                all_sent(one, run)
            except AssertionError as error:
                raise AssertionError(f"{'after' if after else 'before'} call {at} ({one.points.struck})") from error
    else:
        raise AssertionError("no end")
    assert struck.total() > 30, struck
    assert {"tasks", "queues", "stream", "PutItem", "TransactWriteItems"} <= struck.keys()


def test_tasks_that_come_twice_and_in_any_order_change_nothing() -> None:
    for seed in range(8):
        chosen = random.Random(seed)
        with run_harness(sizes=(300, 300, 150), slice_rows=100) as one:
            run = one.start()
            for _ in range(MOST_STEPS):
                for entry in list(one.tasks.waiting):
                    if chosen.random() < 0.05:
                        due = entry[0] + chosen.randrange(30_000)
                        one.tasks.waiting.append((due, next(one.tasks.numbers), entry[2]))
                if not one.step():
                    break
            all_sent(one, run)


def test_what_is_over_stays_so() -> None:
    with run_harness(sizes=(200,)) as one:
        run = one.start()
        one.drain()
        before: Any = all_sent(one, run)
        one.clock.advance(10_000)
        look(one, run)
        one.drain()
        assert one.run(run.id) == before


def test_a_run_that_has_sent_nothing_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_harness() as one:
        # A function that dies over it tells nobody.
        monkeypatch.setattr(one.worker, "_plan", lambda *_: None)
        run = one.start()
        one.drain()
        found = one.run(run.id)
        assert found.state is RunState.FAILED and found.problem == GIVEN_UP
        assert 6 * 3_600_000 < one.clock.now_ms() - NOW < 7 * 3_600_000
