"""Does the tasks of runs, one at a time: each has a step, and what goes wrong with it ends here.

A run that cannot go on is failed, with the reason. A step that breaks off comes back by itself: soon, and a little
later each time, until its queue gives it up; then the run's driver has it done again. If what broke it off will not
pass, as time and services do, the run ends or pauses after some tries, so that nothing is tried for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from functions.campaign.check.rows import Good
from functions.campaign.file.failures import RunFailedError
from functions.campaign.run import control, driving
from functions.campaign.run.driving import Driver
from functions.campaign.run.releasing import Releasing
from functions.campaign.run.reporting import checked_of
from functions.campaign.run.starting import Starter, chains
from functions.campaign.send.sending import Sending
from mepush.sheets.failures import SheetError
from shared.aws.errors import AWS_ERRORS, may_pass, received
from shared.aws.runfiles import FileGoneError
from shared.aws.tasks import Tasks
from shared.base.logs import log_error
from shared.model.clock import Clock
from shared.model.runs import Estimate, Run, RunState, Shard
from shared.model.tasks import (
    CheckTask,
    CompareTask,
    DriveTask,
    PlanTask,
    ReleaseTask,
    SendTask,
    StartTask,
    Task,
    read_task,
)
from shared.store.campaigns import Campaigns
from shared.store.shards import Shards

logger = Logger(child=True)

CHECK_RESERVE_MS = 120_000
"""No shard is begun to be checked with less time than this left."""
FIRST_RETURN_S = 5
LONGEST_RETURN_S = 300
HOPELESS_AFTER = 5
"""So often a step breaks off by what will not pass: a minute or two."""
_GONE = (
    "A file that the run needs is not in the bucket any more: {}. Audience files and what runs make of them are kept "
    "for 60 days. Upload the audience file again and start another run."
)


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


class Planner(Protocol):
    """Cuts a run's file into shards. Raises: RunFailedError; what the stores raise."""

    def plan(self, run: Run, remaining_s: Callable[[], float]) -> Run: ...


class Checker(Protocol):
    """Judges the rows of a shard. check: the shard with what was found. sample: some rows that can be sent. Raises:
    RunFailedError; what the stores raise."""

    def check(self, run: Run, shard: Shard) -> Shard: ...

    def sample(self, run: Run, shards: Sequence[Shard]) -> list[Good]: ...


class Comparer(Protocol):
    """Finds addresses that stand in several shards; False if time ran out."""

    def compare(self, run: Run, shards: Sequence[Shard], remaining_s: Callable[[], float]) -> bool: ...


class Estimator(Protocol):
    """What a checked run will cost. sample: some of its rows."""

    def estimate(self, run: Run, sample: Sequence[Good]) -> Estimate: ...


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done for each kind of task."""

    starter: Starter
    planner: Planner
    picker: Planner
    """Plans runs that follow others."""
    checker: Checker
    comparer: Comparer
    estimator: Estimator
    sending: Sending
    releasing: Releasing
    driver: Driver


class Worker:
    """Does tasks."""

    def __init__(self, steps: Steps, campaigns: Campaigns, shards: Shards, tasks: Tasks, clock: Clock) -> None:
        self._steps = steps
        self._campaigns = campaigns
        self._shards = shards
        self._tasks = tasks
        self._clock = clock

    def run(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        """Work on one SQS batch; returns the partial batch response."""
        failed = [record for record in event["Records"] if not self._done(record, context)]
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}

    def _done(self, record: dict[str, Any], context: Context) -> bool:
        try:
            task = read_task(record["body"])
        except ValidationError as error:
            logger.error("malformed task", fields=[".".join(map(str, e["loc"])) for e in error.errors()][:10])
            # It reaches the dead-letter queue, and so people, within minutes.
            self._soon(record)
            return False
        try:
            self.do(task, context.get_remaining_time_in_millis)
        except Exception as error:  # whatever it is, the task comes back
            log_error(logger, "task handed back to the queue", error, task=task.task, run=getattr(task, "run", None))
            if received(record) >= HOPELESS_AFTER and not may_pass(error):
                return self._end(task, error)
            self._soon(record)
            return False
        return True

    def _end(self, task: Task, error: Exception) -> bool:
        """End a run of which a step breaks off each time, or hold it if some of its messages are out; whether it is
        done."""
        if isinstance(task, StartTask):
            return False
        problem = (
            f"The step `{task.task}` failed {HOPELESS_AFTER} times in the same way ({type(error).__name__}), so trying "
            "again is of no use. The log of the campaign function says where; report it if the file is as it should be."
        )
        try:
            self._stop(task.tenant, task.run, problem)
        except Exception as again:  # whatever it is, the task comes back
            log_error(logger, "run not ended", again, run=task.run)
            return False
        return True

    def _stop(self, tenant: str, run: str, problem: str) -> None:
        now = self._clock.now_ms()

        def stop(found: Run) -> Run:
            if found.state is RunState.SENDING:
                return control.pause(found, now, driving.PLATFORM, problem)
            return found if found.state is RunState.PAUSED else driving.failed(found, now, problem)

        self._look(self._campaigns.change_run(tenant, run, stop))
        logger.warning("run stopped", run=run)

    def _soon(self, record: dict[str, Any]) -> None:
        """Have a task come back soon; without this, when the function's longest time is over."""
        wait_s = FIRST_RETURN_S * 2 ** (received(record) - 1)
        try:
            self._tasks.put_back(record["receiptHandle"], min(LONGEST_RETURN_S, wait_s))
        except AWS_ERRORS as error:
            log_error(logger, "task comes back late", error)

    def do(self, task: Task, remaining_ms: Callable[[], int]) -> None:
        """Do a task. Raises: what breaks it off."""
        if isinstance(task, StartTask):
            self._steps.starter.fire(task)
            return
        try:
            self._step(task, remaining_ms)
        except (RunFailedError, SheetError) as error:
            self._fail(task.tenant, task.run, error.problem)
        except FileGoneError as error:
            self._fail(task.tenant, task.run, _GONE.format(error.key))

    def _step(
        self,
        task: PlanTask | CheckTask | CompareTask | SendTask | ReleaseTask | DriveTask,
        remaining_ms: Callable[[], int],
    ) -> None:
        if isinstance(task, PlanTask):
            self._plan(task, remaining_ms)
        elif isinstance(task, CheckTask):
            self._check(task, remaining_ms)
        elif isinstance(task, CompareTask):
            self._compare(task, remaining_ms)
        elif isinstance(task, SendTask):
            self._steps.sending.work(task, remaining_ms)
        elif isinstance(task, ReleaseTask):
            self._steps.releasing.release(task, remaining_ms)
        else:
            self._steps.driver.drive(task)

    def _plan(self, task: PlanTask, remaining_ms: Callable[[], int]) -> None:
        run = self._in(task.tenant, task.run, RunState.PLANNING)
        if run is None:
            return
        planner = self._steps.planner if run.campaign.audience.follows is None else self._steps.picker
        found = planner.plan(run, lambda: remaining_ms() / 1000)
        if found.planned is None:
            self._tasks.send([task])
            return
        now = self._clock.now_ms()
        # More chains than its accounts keep at work would only wait for each other.
        side_by_side = chains(self._steps.sending.pacer.per_minute(run))

        def change(stored: Run) -> Run | None:
            if stored.over or stored.planned_at is not None:
                return None
            done = stored.moved(planned=found.planned, rows=found.rows, file=found.file, picked=found.picked)
            return driving.planned(done.moved(chains=min(stored.chains, side_by_side)), now)

        self._look(self._campaigns.change_run(run.tenant, run.id, change))

    def _check(self, task: CheckTask, remaining_ms: Callable[[], int]) -> None:
        """Check a shard, then the others of its chain."""
        run = self._in(task.tenant, task.run, RunState.CHECKING)
        number = task.shard
        while run is not None and number < (run.planned or 0):
            if remaining_ms() < CHECK_RESERVE_MS:
                self._tasks.send([CheckTask(tenant=run.tenant, run=run.id, shard=number)])
                return
            control = self._campaigns.control(run.tenant, run.id)
            if control is None or control.state is not RunState.CHECKING:
                return
            stored = self._shards.load(run.tenant, run.id, number)
            if stored is None:
                return
            if stored.value.checked is None:
                found = self._steps.checker.check(run, stored.value)
                touched = found.model_copy(update={"touched_at": self._clock.now_ms()})
                if self._shards.save(run.tenant, run.id, touched, stored.rev) is None:
                    logger.info("a shard is checked elsewhere", run=run.id, shard=number)
                    return
            number += run.chains
        self._look(run)

    def _compare(self, task: CompareTask, remaining_ms: Callable[[], int]) -> None:
        run = self._in(task.tenant, task.run, RunState.CHECKING)
        if run is None or run.checked_at is not None:
            return
        shards = self._shards.all(run.tenant, run.id)
        if len(shards) < (run.planned or 0) or any(shard.checked is None for shard in shards):
            return
        if not self._steps.comparer.compare(run, shards, lambda: remaining_ms() / 1000):
            self._tasks.send([task])
            return
        # What was found to be repeated is in them.
        shards = self._shards.all(run.tenant, run.id)
        run = run.moved(tally=checked_of(shards))
        estimate, tally, now = self._estimate(run, shards), run.tally, self._clock.now_ms()

        def change(stored: Run) -> Run | None:
            if stored.state is not RunState.CHECKING or stored.checked_at is not None:
                return None
            return driving.checked(stored.moved(tally=tally, estimate=estimate), now)

        self._look(self._campaigns.change_run(run.tenant, run.id, change))

    def _estimate(self, run: Run, shards: Sequence[Shard]) -> Estimate:
        return self._steps.estimator.estimate(run, self._steps.checker.sample(run, shards))

    def _in(self, tenant: str, run: str, state: RunState) -> Run | None:
        """A run, if it is in a state."""
        stored = self._campaigns.load_run(tenant, run)
        return None if stored is None or stored.value.state is not state else stored.value

    def _fail(self, tenant: str, run: str, problem: str) -> None:
        now = self._clock.now_ms()
        changed = self._campaigns.change_run(tenant, run, lambda found: driving.failed(found, now, problem))
        logger.warning("run failed", run=run)
        self._look(changed)

    def _look(self, run: Run | None) -> None:
        """Have the driver look at a run now, not at its next look."""
        if run is not None:
            self._tasks.send([DriveTask(tenant=run.tenant, run=run.id, tick=run.tick)])
