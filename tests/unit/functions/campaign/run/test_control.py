"""What people do to runs: which changes are possible when, and what follows from them."""

from typing import Any

import pytest

from functions.campaign.run import control
from shared.errors import ConflictError
from shared.model.runs import OVER, Run, RunState
from shared.model.tasks import DriveTask, ReleaseTask
from tests.samples import NOW
from tests.unit.functions.campaign.audience import run_of

STATES = list(RunState)


def a_run(state: RunState, **changes: Any) -> Run:
    """A run in a state."""
    return run_of(b"to\n").moved(state=state, state_at=NOW, **changes)


@pytest.mark.parametrize("state", STATES)
def test_what_works_can_be_paused_and_nothing_else(state: RunState) -> None:
    run = a_run(state)
    if state is RunState.PAUSED:
        assert control.pause(run, NOW + 1, "k2") == run
    elif state in control.WORKING:
        paused = control.pause(run, NOW + 1, "k2")
        assert (paused.state, paused.state_at, paused.state_by) == (RunState.PAUSED, NOW + 1, "k2")
        assert paused.paused_at == NOW + 1
    else:
        with pytest.raises(ConflictError) as error:
            control.pause(run, NOW + 1, "k2")
        assert f"`{state}` cannot be paused" in error.value.detail


@pytest.mark.parametrize(
    ("times", "goes_on"),
    [
        ({"planned_at": None}, RunState.PLANNING),
        ({"planned_at": NOW}, RunState.CHECKING),
        ({"planned_at": NOW, "checked_at": NOW, "sending_at": NOW}, RunState.SENDING),
    ],
)
def test_a_resumed_run_goes_on_where_it_was(times: dict[str, int | None], goes_on: RunState) -> None:
    paused = control.pause(a_run(goes_on, queued_at=NOW, **times), NOW + 100, "k2", "why")
    resumed = control.resume(paused, NOW + 600, "k3")
    assert (resumed.state, resumed.state_by, resumed.problem, resumed.paused_at) == (goes_on, "k3", None, None)
    # What it was told before it was paused has to be told again.
    assert resumed.queued_at == 0
    assert resumed.paused_ms == (500 if goes_on is RunState.SENDING else 0)
    again = control.resume(control.pause(resumed, NOW + 700, "k2"), NOW + 800, "k3")
    assert again.paused_ms == (600 if goes_on is RunState.SENDING else 0)


@pytest.mark.parametrize("state", [s for s in STATES if s is not RunState.PAUSED and s not in control.WORKING])
def test_what_is_not_paused_cannot_be_resumed(state: RunState) -> None:
    with pytest.raises(ConflictError):
        control.resume(a_run(state), NOW, "k2")


@pytest.mark.parametrize("state", STATES)
def test_what_is_not_over_can_be_cancelled(state: RunState) -> None:
    run = a_run(state)
    if state in OVER and state is not RunState.CANCELLED:
        with pytest.raises(ConflictError):
            control.cancel(run, NOW + 1, "k2")
        return
    cancelled = control.cancel(run, NOW + 1, "k2")
    assert cancelled.state is RunState.CANCELLED
    if state is not RunState.CANCELLED:
        assert (cancelled.over_at, cancelled.state_by) == (NOW + 1, "k2")


def test_the_time_of_a_pause_counts_though_the_run_is_cancelled_in_it() -> None:
    paused = control.pause(a_run(RunState.SENDING, sending_at=NOW), NOW + 100, "k2")
    assert control.cancel(paused, NOW + 400, "k2").paused_ms == 300


def test_only_what_waits_for_it_can_be_approved() -> None:
    run = a_run(RunState.AWAITING_APPROVAL, planned_at=NOW, checked_at=NOW)
    approved = control.approve(run, NOW + 5, "k2")
    assert (approved.state, approved.approved_by, approved.sending_at) == (RunState.SENDING, "k2", NOW + 5)
    assert control.approve(approved, NOW + 9, "k2") == approved
    with pytest.raises(ConflictError):
        control.approve(a_run(RunState.SENDING), NOW, "k2")


def test_a_throttle_is_changed_until_a_run_is_over() -> None:
    run = control.throttled(a_run(RunState.PAUSED), NOW + 5, 60)
    assert (run.throttle, run.throttled_at) == (60, NOW + 5)
    assert control.throttled(run, NOW + 9, 60) == run
    assert control.throttled(run, NOW + 9, None).throttle is None
    with pytest.raises(ConflictError):
        control.throttled(a_run(RunState.FINISHED), NOW, 60)


@pytest.mark.parametrize("state", STATES)
def test_what_was_held_is_released_when_a_run_goes_on_or_ends_by_hand(state: RunState) -> None:
    tasks = control.tasks_after(a_run(state, tick=7))
    released = {task.bucket for task in tasks if isinstance(task, ReleaseTask)}
    assert released == (set(range(8)) if state in (RunState.SENDING, RunState.CANCELLED) else set())
    looks = [task.tick for task in tasks if isinstance(task, DriveTask)]
    assert looks == ([7] if state in control.WORKING or state is RunState.CANCELLED else [])
