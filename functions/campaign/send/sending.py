"""Queues the messages of shards: a chain goes through every `Run.chains`-th of them, slice by slice.

A slice is whole blocks of rows. Its envelopes follow from the rows alone, and so do their ids; the shard's item moves
behind it only once all of them are queued and the stream has been told. So a slice that breaks off is done again with
the same ids, and of two who do the same one only one gets on.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from aws_lambda_powertools import Logger

from functions.campaign.send.pacing import Pacer
from shared.acceptance.telling import accepted_by_run
from shared.aws.queue import MAX_ENTRIES, Dispatch
from shared.aws.stream import EventStream
from shared.errors import LostError, NotQueuedError
from shared.model.clock import Clock
from shared.model.runs import SHARD_ROWS, Run, RunState, Shard, Tally
from shared.model.tasks import SendTask, Task
from shared.store.campaigns import Campaigns
from shared.store.catalog_items import Stored
from shared.store.shards import Shards

logger = Logger(child=True)

RESERVE_MS = 120_000
"""No slice is begun with less time than this left."""
EARLY_MS = 1_000
ASK_AGAIN_MS = 300_000
"""What has to wait for longer is looked at again meanwhile: somebody may raise the rate of an account."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What became of some whole blocks of a shard's rows."""

    dispatches: Sequence[Dispatch]
    """The envelopes, in order."""
    tally: Tally
    """Of the rows."""
    next_row: int
    """`next_row` and `next_byte`: where the next slice begins, in the shard and in its object."""
    next_byte: int


class Rest(Protocol):
    """The rest of a shard, read once. take: its next blocks with at most so many rows, but at least one block; None
    when nothing is left."""

    def take(self, rows: int) -> Slice | None: ...


class Expander(Protocol):
    """Makes envelopes of rows. open: reads the shard from where it stands. Raises: RunFailedError; what S3 raises."""

    def open(self, run: Run, shard: Shard) -> Rest: ...


class Queues(Protocol):
    """Where envelopes go; see `shared.aws.queue.Queues`."""

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]: ...


class TaskQueue(Protocol):
    """Where tasks go."""

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None: ...


class _LostError(LostError):
    """Somebody else works on the shard, and was faster."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Works chains off."""

    campaigns: Campaigns
    shards: Shards
    expander: Expander
    pacer: Pacer
    queues: Queues
    stream: EventStream
    tasks: TaskQueue
    clock: Clock
    pool: Executor
    """For requests to the queues."""
    slice_rows: int = SHARD_ROWS
    """The most rows of a slice."""

    def work(self, task: SendTask, remaining_ms: Callable[[], int]) -> None:
        """Work on a chain until it is done, has to wait, is stopped, or the time is short.

        Raises: NotQueuedError, StreamError, RunFailedError; what the stores and the queue raise. The task may be done
        again then, or the driver has it done.
        """
        stored = self.campaigns.load_run(task.tenant, task.run)
        run = None if stored is None or stored.value.state is not RunState.SENDING else stored.value
        number = task.shard
        while run is not None and number < (run.planned or 0):
            try:
                if not self._shard(run, number, remaining_ms):
                    return
            except _LostError:
                logger.info("a shard is worked on elsewhere", run=run.id, shard=number)
                return
            number += run.chains

    def _shard(self, run: Run, number: int, remaining_ms: Callable[[], int]) -> bool:
        """Work on a shard; whether it is closed, so that the chain goes on to the next. Raises: _LostError."""
        stored = self.shards.load(run.tenant, run.id, number)
        if stored is None or stored.value.closed:
            return stored is not None
        if self._waits(run, stored.value):
            return False
        rest = self.expander.open(run, stored.value)
        while remaining_ms() > RESERVE_MS:
            current = self._current(run)
            if current is None:
                return False
            moved = self._slice(current, stored, rest)
            if moved is None or moved.value.closed:
                return moved is not None
            stored = moved
        self.tasks.send([SendTask(tenant=run.tenant, run=run.id, shard=number)])
        return False

    def _waits(self, run: Run, shard: Shard) -> bool:
        """Whether a shard is not due yet. Its task comes again: a queue delays by 15 minutes at most."""
        wait_ms = shard.due_at - self.clock.now_ms()
        if wait_ms <= EARLY_MS or run.throttled_at >= shard.touched_at:
            return False
        self._later(run, shard.number, shard.due_at)
        return True

    def _slice(self, run: Run, stored: Stored[Shard], rest: Rest) -> Stored[Shard] | None:
        """Queue a slice and move the shard behind it; None if it has to wait, or the run was stopped."""
        shard = stored.value
        if (ready := self.pacer.accounts_ready(run)) is not None:
            self._put_off(run, stored, ready)
            return None
        found = rest.take(self.pacer.rows(run, self.slice_rows))
        if found is None:
            return self._save(run, stored, shard.model_copy(update={"closed": True}))
        messages = sum(len(d.envelope.recipients) for d in found.dispatches)
        if (ready := self.pacer.place(run, messages)) is not None:
            self._put_off(run, stored, ready)
            return None
        if not self._queue(run, found.dispatches):
            return None
        self.stream.put([accepted_by_run(d) for d in found.dispatches])
        changes = {
            "next_row": found.next_row,
            "next_byte": found.next_byte,
            "sent": shard.sent.plus(found.tally),
            "closed": found.next_row >= shard.rows,
        }
        return self._save(run, stored, shard.model_copy(update=changes))

    def _queue(self, run: Run, dispatches: Sequence[Dispatch]) -> bool:
        """Queue envelopes, ten in a request; False if the run was stopped meanwhile. Raises: NotQueuedError."""
        stopped = threading.Event()

        def send(batch: Sequence[Dispatch]) -> int:
            if not stopped.is_set() and not self._goes_on(run):
                stopped.set()
            return 0 if stopped.is_set() else len(self.queues.send(batch))

        batches = [dispatches[at : at + MAX_ENTRIES] for at in range(0, len(dispatches), MAX_ENTRIES)]
        failed = sum(self.pool.map(send, batches) if len(batches) > 1 else map(send, batches))
        if failed:
            raise NotQueuedError(f"{failed} of {len(dispatches)} envelopes")
        return not stopped.is_set()

    def _goes_on(self, run: Run) -> bool:
        control = self.campaigns.control(run.tenant, run.id)
        return control is not None and control.state is RunState.SENDING

    def _current(self, run: Run) -> Run | None:
        """The run as its next slice goes: its throttle may have been changed. None if it does not go on."""
        stored = self.campaigns.load_run(run.tenant, run.id)
        return None if stored is None or stored.value.state is not RunState.SENDING else stored.value

    def _put_off(self, run: Run, stored: Stored[Shard], ready: int) -> None:
        """Have a shard go on later. Raises: _LostError."""
        ready = min(ready, self.clock.now_ms() + ASK_AGAIN_MS)
        self._save(run, stored, stored.value.model_copy(update={"due_at": ready}))
        self._later(run, stored.value.number, ready)

    def _later(self, run: Run, shard: int, ready: int) -> None:
        delay_s = max(1, ceil((ready - self.clock.now_ms()) / 1000))
        self.tasks.send([SendTask(tenant=run.tenant, run=run.id, shard=shard)], delay_s)

    def _save(self, run: Run, stored: Stored[Shard], shard: Shard) -> Stored[Shard]:
        """Move a shard. Raises: _LostError."""
        touched = shard.model_copy(update={"touched_at": self.clock.now_ms()})
        saved = self.shards.save(run.tenant, run.id, touched, stored.rev)
        if saved is None:
            raise _LostError
        return saved
