"""What people, the stop rule and the platform do to a run: pure changes of it, and the tasks that follow from them.

Each may be asked again: it then changes nothing, and its tasks are harmless.
"""

from shared.errors import ConflictError
from shared.model.runs import Run, RunState
from shared.model.tasks import DriveTask, ReleaseTask, Task
from shared.store.parking import BUCKETS

WORKING = frozenset({RunState.PLANNING, RunState.CHECKING, RunState.SENDING})
"""The states in which the platform works on a run by itself."""
_WHAT_TO_DO = {
    RunState.WAITING: "It waits for the run before it; cancel it if it is not wanted.",
    RunState.AWAITING_APPROVAL: "It waits for its approval; approve or cancel it.",
    RunState.PAUSED: "It is paused; resume or cancel it.",
}


def pause(run: Run, now: int, by: str, problem: str | None = None) -> Run:
    """Hold a run. problem: why it paused by itself. Raises: ConflictError."""
    if run.state is RunState.PAUSED:
        return run
    if run.state not in WORKING:
        raise ConflictError(f"A run that is `{run.state}` cannot be paused. {_advice(run)}")
    return run.to(RunState.PAUSED, now, by, paused_at=now, problem=problem)


def resume(run: Run, now: int, by: str) -> Run:
    """Have a paused run go on where it was. Raises: ConflictError."""
    if run.state in WORKING:
        return run
    if run.state is not RunState.PAUSED:
        raise ConflictError(f"A run that is `{run.state}` cannot be resumed. {_advice(run)}")
    held = max(0, now - (run.paused_at or now)) if run.sending_at is not None else 0
    return run.to(_before_pause(run), now, by, paused_at=None, paused_ms=run.paused_ms + held, problem=None, marks=())


def cancel(run: Run, now: int, by: str) -> Run:
    """End a run. Raises: ConflictError."""
    if run.state is RunState.CANCELLED:
        return run
    if run.over:
        raise ConflictError(f"The run is over: it is `{run.state}`. Recall its messages one by one if they still wait.")
    held = now - run.paused_at if run.paused_at is not None and run.sending_at is not None else 0
    return run.to(RunState.CANCELLED, now, by, paused_at=None, paused_ms=run.paused_ms + held)


def approve(run: Run, now: int, by: str) -> Run:
    """Let a run begin that is larger than may begin by itself. Raises: ConflictError."""
    if run.approved_at is not None and run.approved_by == by:
        return run
    if run.state is not RunState.AWAITING_APPROVAL:
        raise ConflictError(f"A run that is `{run.state}` waits for no approval. {_advice(run)}")
    return run.to(RunState.SENDING, now, by, approved_at=now, approved_by=by, sending_at=now)


def throttled(run: Run, now: int, throttle: int | None) -> Run:
    """Change how many messages a minute go at most, from the next ones on. Raises: ConflictError."""
    if run.over:
        raise ConflictError(f"The run is over: it is `{run.state}`.")
    if run.throttle == throttle:
        return run
    return run.moved(throttle=throttle, throttled_at=now)


def tasks_after(run: Run) -> list[Task]:
    """What is to be queued once a person's change of a run is saved."""
    tasks: list[Task] = []
    if run.state is RunState.SENDING or run.state is RunState.CANCELLED:
        tasks += [ReleaseTask(tenant=run.tenant, run=run.id, bucket=bucket) for bucket in range(BUCKETS)]
    if run.state in WORKING or run.state is RunState.CANCELLED:
        tasks.append(DriveTask(tenant=run.tenant, run=run.id, tick=run.tick))
    return tasks


def _before_pause(run: Run) -> RunState:
    if run.planned_at is None:
        return RunState.PLANNING
    return RunState.CHECKING if run.checked_at is None else RunState.SENDING


def _advice(run: Run) -> str:
    if run.over:
        return "It is over; start a new one."
    return _WHAT_TO_DO.get(run.state, "It goes on by itself; pause or cancel it.")
