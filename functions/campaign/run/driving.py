"""The driver: looks at a run every few seconds and moves it on, has done again what broke off, and finishes it.

Everything a look does may be done twice, and by two at once: states change only from the one that was seen, and tasks
are harmless. The next look is queued before this one is marked as done, so a driver never ends by breaking off; the
watch queues a look at every run that is not over, in case one does all the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aws_lambda_powertools import Logger

from functions.campaign.run import control
from functions.campaign.run.reporting import Counted, Reporter, outcomes, tally_of, with_report
from functions.campaign.run.starting import Starter
from shared.model.campaigns import StopRule
from shared.model.clock import Clock
from shared.model.runs import Purpose, Run, RunState, Shard
from shared.model.tasks import CheckTask, CompareTask, DriveTask, PlanTask, SendTask, Task
from shared.model.words import Stage
from shared.store.campaigns import Campaigns
from shared.store.shards import Shards

logger = Logger(child=True)

LOOK_S = 2
LONGEST_LOOK_S = 10
"""Between two looks at a run that works, when it has done so for long."""
AWAITING_LOOK_S = 300
"""Between two looks at a run of which only outcomes are awaited, when it has done so for hours."""
BROKEN_MS = 60_000
"""A chain of which nothing is seen for so long broke off."""
ALONE_MS = 960_000
"""What one task does alone, cutting and comparing, is queued again after so long: more than a function may take."""
STUCK_MS = 600_000
GIVE_UP_MS = 6 * 3_600_000
"""A run that has sent nothing yet fails when nothing has moved for so long: its function dies over it each time."""
PATIENCE_MS = 3 * 86_400_000
"""So long after the last message could be sent its outcome is awaited."""
LONGEST_TTL_MS = 3 * 86_400_000
CLOSING_MS = 86_400_000
"""So long the messages of a cancelled run are counted on."""
MARK_MS = 10_000
MAX_MARKS = 7
"""The pace of a run is that of its last minute."""
STUCK = "Nothing has moved for 10 minutes; the platform goes on trying."
GIVEN_UP = (
    "Nothing has moved for 6 hours, so the run was given up; nothing of it was sent. The log of the campaign function "
    "says where it broke off. Start another run when that is mended, or with a smaller file."
)
PLATFORM, STOP_RULE = "platform", "stop rule"
_FAILURES = (Stage.FAILED, Stage.DEAD_LETTERED, Stage.UNKNOWN)
_FAILED = "of {whole:,} messages with an outcome {n:,} failed"
_COMPLAINED = "of {whole:,} messages that were sent {n:,} were complained about"
_CAME_BACK = "of {whole:,} messages that were sent {n:,} came back"


class TaskQueue(Protocol):
    """Where tasks go."""

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class Driver:
    """Looks at runs."""

    campaigns: Campaigns
    shards: Shards
    starter: Starter
    reporter: Reporter
    tasks: TaskQueue
    clock: Clock

    def drive(self, task: DriveTask) -> None:
        """Look at a run once, and queue the next look. Raises: what the stores and the queue raise."""
        stored = self.campaigns.load_run(task.tenant, task.run)
        if stored is None or task.tick < stored.value.tick:
            return
        run, delay_s = self._look(stored.value)
        if delay_s is None:
            return
        self.tasks.send([DriveTask(tenant=run.tenant, run=run.id, tick=task.tick + 1)], delay_s)
        self._change(run, lambda found: found.moved(tick=task.tick + 1) if found.tick <= task.tick else None)

    def _look(self, run: Run) -> tuple[Run, float | None]:
        """Move a run on; the run then, and in how many seconds to look again (None: not at all)."""
        if run.state is RunState.WAITING:
            self.starter.admit(run)
            # If it goes on, it has a look of its own queued.
            return run, None
        if run.over:
            return self._over(run)
        if run.state is RunState.PLANNING:
            return self._planning(run)
        if run.state is RunState.CHECKING:
            return self._checking(run)
        if run.state is RunState.SENDING:
            return self._sending(run)
        return run, None

    def _planning(self, run: Run) -> tuple[Run, float | None]:
        if self._alone_again(run):
            run = self._queue(run, [PlanTask(tenant=run.tenant, run=run.id)])
        return self._complain(run, run.state_at), self._often(run.state_at)

    def _checking(self, run: Run) -> tuple[Run, float | None]:
        shards = self.shards.all(run.tenant, run.id)
        undone = [shard for shard in shards if shard.checked is None]
        if undone:
            chains = self._broken(run, shards, {shard.number for shard in undone})
            run = self._queue(run, [CheckTask(tenant=run.tenant, run=run.id, shard=n) for n in chains])
        elif run.checked_at is None and (run.queued_at <= self._touched(run, shards) or self._alone_again(run)):
            run = self._queue(run, [CompareTask(tenant=run.tenant, run=run.id)])
        return self._complain(run, self._touched(run, shards)), self._often(run.state_at)

    def _sending(self, run: Run) -> tuple[Run, float | None]:
        counted = self.reporter.counted(run, variants=False)
        if run.expanded_at is None:
            run = self._expanding(run)
        run = self._marked(run, counted)
        if (problem := broken_rule(run, counted.stages)) is not None:
            return self._stopped(run, problem), None
        if run.state is not RunState.SENDING or run.expanded_at is None:
            return run, self._often(run.sending_at or run.state_at)
        return self._awaiting(run, run.expanded_at, counted)

    def _expanding(self, run: Run) -> Run:
        """Look after a run's chains; when all shards are closed, everything is queued."""
        shards, now = self.shards.all(run.tenant, run.id), self.clock.now_ms()
        undone = {shard.number for shard in shards if not shard.closed}
        if not undone:
            sent = tally_of(shards)
            tally = run.tally.model_copy(update={"accepted": sent.accepted, "variants": sent.variants})
            changes = {"expanded_at": now, "tally": tally, "problem": None}
            return self._in(run, RunState.SENDING, lambda found: found.moved(**changes))
        chains = self._broken(run, shards, undone)
        run = self._queue(run, [SendTask(tenant=run.tenant, run=run.id, shard=n) for n in chains])
        waits = max((shard.due_at for shard in shards), default=0)
        return self._complain(run, max(self._touched(run, shards), waits))

    def _awaiting(self, run: Run, expanded_at: int, counted: Counted) -> tuple[Run, float | None]:
        """Finish a run of which everything is queued, once every message has an outcome."""
        now = self.clock.now_ms()
        missing = max(run.tally.accepted, counted.stages.get(Stage.ACCEPTED, 0)) - counted.ended
        patience = PATIENCE_MS + (LONGEST_TTL_MS if run.campaign.ttl is None else run.campaign.ttl * 1000)
        if missing > 0 and now - expanded_at < patience:
            return run, self._seldom(expanded_at)
        problem = f"{missing:,} messages have no outcome yet." if missing > 0 else None
        whole = self.reporter.counted(run)

        def finish(found: Run) -> Run:
            return with_report(found, whole).to(RunState.FINISHED, now, PLATFORM, problem=problem)

        run = self._in(run, RunState.SENDING, finish)
        return self._over(run) if run.over else (run, LOOK_S)

    def _over(self, run: Run) -> tuple[Run, float | None]:
        """Have the next run start that waits for this one, and finish the report of one that was cancelled."""
        for id in self.campaigns.open_runs(run.tenant, run.campaign.id):
            found = self.campaigns.load_run(run.tenant, id)
            if found is not None and found.value.state is RunState.WAITING:
                self.starter.admit(found.value)
        if run.state is not RunState.CANCELLED or run.sending_at is None or run.outcomes:
            return run, None
        sent, counted = tally_of(self.shards.all(run.tenant, run.id)), self.reporter.counted(run)
        age_ms, ended = self.clock.now_ms() - run.state_at, counted.ended
        missing = max(sent.accepted, counted.stages.get(Stage.ACCEPTED, 0)) - ended
        if age_ms < BROKEN_MS or (missing > 0 and age_ms < CLOSING_MS):
            # A chain may still be at its last slice, and the trace some seconds behind.
            return run, self._seldom(run.state_at)
        # Of a slice that was stopped half-way its shard knows nothing.
        accepted = max(sent.accepted, counted.stages.get(Stage.ACCEPTED, 0))
        tally = run.tally.model_copy(update={"accepted": accepted, "variants": sent.variants})
        return self._in(run, run.state, lambda found: with_report(found.moved(tally=tally), counted)), None

    # What broke off

    def _broken(self, run: Run, shards: Sequence[Shard], undone: set[int]) -> list[int]:
        """The shards with which chains go on that broke off, or have not begun since the run is in this state."""
        now = self.clock.now_ms()
        found = []
        for chain in range(run.chains):
            mine = [shard for shard in shards if shard.number % run.chains == chain]
            first = next((shard for shard in mine if shard.number in undone), None)
            if first is None:
                continue
            seen = max(first.due_at, run.queued_at, *(shard.touched_at for shard in mine))
            if self._fresh(run) or now - seen > BROKEN_MS:
                found.append(first.number)
        return found

    def _fresh(self, run: Run) -> bool:
        """Whether nothing has been queued since the run came into its state, or got another throttle."""
        return not run.queued_at or run.queued_at <= run.throttled_at

    def _alone_again(self, run: Run) -> bool:
        return self._fresh(run) or self.clock.now_ms() - run.queued_at > ALONE_MS

    def _touched(self, run: Run, shards: Iterable[Shard]) -> int:
        return max([run.state_at, *(shard.touched_at for shard in shards)])

    def _queue(self, run: Run, tasks: Sequence[Task]) -> Run:
        """Queue tasks, then note it."""
        if not tasks:
            return run
        self.tasks.send(tasks)
        now = self.clock.now_ms()
        return self._in(run, run.state, lambda found: found.moved(queued_at=now))

    # Changes

    def _complain(self, run: Run, moved_at: int) -> Run:
        """Say so if nothing has moved for long, until something does; in the end fail a run that has sent nothing."""
        still_ms = self.clock.now_ms() - moved_at
        if still_ms > GIVE_UP_MS and run.state in (RunState.PLANNING, RunState.CHECKING):
            return self._in(run, run.state, lambda found: failed(found, self.clock.now_ms(), GIVEN_UP))
        stuck = still_ms > STUCK_MS
        if stuck == (run.problem == STUCK):
            return run
        return self._in(run, run.state, lambda found: found.moved(problem=STUCK if stuck else None))

    def _marked(self, run: Run, counted: Counted) -> Run:
        """The run with a mark of how many messages have an outcome."""
        now = self.clock.now_ms()
        if run.marks and now - run.marks[-1][0] < MARK_MS:
            return run
        marks = (*run.marks, (now, counted.ended))[-MAX_MARKS:]
        return self._in(run, RunState.SENDING, lambda found: found.moved(marks=marks))

    def _stopped(self, run: Run, problem: str) -> Run:
        now = self.clock.now_ms()

        def stop(found: Run) -> Run:
            return control.pause(found, now, STOP_RULE, problem).moved(stop_rule_done=True)

        return self._in(run, RunState.SENDING, stop)

    def _in(self, run: Run, state: RunState, change: Callable[[Run], Run]) -> Run:
        """Change a run, if it is still in a state."""
        return self._change(run, lambda found: change(found) if found.state is state else None)

    def _change(self, run: Run, change: Callable[[Run], Run | None]) -> Run:
        return self.campaigns.change_run(run.tenant, run.id, change) or run

    def _seldom(self, since: int) -> float:
        return min(AWAITING_LOOK_S, max(LOOK_S, (self.clock.now_ms() - since) / 20_000))

    def _often(self, since: int) -> float:
        return min(LONGEST_LOOK_S, max(LOOK_S, (self.clock.now_ms() - since) / 60_000))


def planned(run: Run, now: int) -> Run:
    """A run whose file is cut: its rows are checked next. A pause is kept. `run` has what the planner found."""
    chains = max(1, min(run.chains, run.planned or 1))
    done = run.moved(planned_at=now, chains=chains, problem=None)
    return done.to(RunState.CHECKING, now, PLATFORM) if run.state is RunState.PLANNING else done


def checked(run: Run, now: int) -> Run:
    """A run whose rows are all checked, as far as it then goes by itself. `run` has the tally and the estimate."""
    run = run.moved(checked_at=now, problem=None)
    if run.purpose is Purpose.CHECK:
        return run.to(RunState.CHECKED, now, PLATFORM)
    if not run.tally.messages:
        return run.to(RunState.FAILED, now, PLATFORM, problem=_nothing(run))
    above = run.campaign.approve_above
    if above is not None and run.tally.messages > above:
        return run.to(RunState.AWAITING_APPROVAL, now, PLATFORM)
    return run.to(RunState.SENDING, now, PLATFORM, sending_at=now)


def failed(run: Run, now: int, problem: str) -> Run:
    """A run that cannot go on."""
    return run if run.over else run.to(RunState.FAILED, now, PLATFORM, problem=problem)


def broken_rule(run: Run, stages: Mapping[str, int]) -> str | None:
    """Why a run is to pause by its stop rule, in words; None if it is not. stages: its counts.

    What is undelivered for now counts by another name (`counters.counted_as`), and here not at all.
    """
    rule: StopRule | None = run.campaign.stop_rule
    if rule is None or run.stop_rule_done:
        return None
    ended, sent = outcomes(stages), stages.get(Stage.SENT, 0)
    for allowed, n, whole, what in (
        (rule.failures_percent, sum(ended.get(s, 0) for s in _FAILURES), sum(ended.values()), _FAILED),
        (rule.complaints_percent, stages.get(Stage.COMPLAINED, 0), sent, _COMPLAINED),
        (rule.undelivered_percent, stages.get(Stage.UNDELIVERED, 0), sent, _CAME_BACK),
    ):
        if allowed is not None and whole >= rule.after and n * 100 > allowed * whole:
            return (
                f"Paused by its stop rule: {what.format(whole=whole, n=n)} ({_percent(n * 100 / whole)} %; "
                f"{allowed:g} % are allowed). Look at the reasons, mend the cause, then resume or cancel the run."
            )
    return None


def _percent(share: float) -> str:
    """A share, such that 0.31 % of complaints does not read as the 0.3 % that are allowed."""
    return f"{share:.1f}" if share >= 1 else f"{share:.2g}"


def _nothing(run: Run) -> str:
    tally = run.tally
    if (follows := run.campaign.audience.follows) is not None and not tally.rows:
        return (
            f"There is nobody to write to: of {sum(run.picked.values()):,} rows of the run `{follows.run}` none is "
            f"`{follows.who}`. The report says why."
        )
    return (
        f"There is nothing to send: of {tally.rows:,} rows {sum(tally.rejected.values()):,} were rejected, "
        f"{tally.duplicates:,} are duplicates and {tally.held_out:,} are held out. Look at the rejected rows, correct "
        "the file and start again."
    )
