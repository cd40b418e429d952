"""Puts back on their queues the envelopes that were held while their run was paused.

Of a run that goes on, and of one that was cancelled, so that dispatch ends its messages. The envelopes' ids are those
that they had, so putting one back twice sends nothing twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.aws.queue import Dispatch, Queues
from shared.errors import NotQueuedError
from shared.model.runs import RunState
from shared.model.tasks import ReleaseTask, Task
from shared.store.campaigns import Campaigns
from shared.store.parking import Parking

RESERVE_MS = 30_000


class TaskQueue(Protocol):
    """Where tasks go."""

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None: ...


@dataclass(frozen=True, slots=True)
class Releasing:
    """Empties parking places."""

    campaigns: Campaigns
    parking: Parking
    queues: Queues
    tasks: TaskQueue

    def release(self, task: ReleaseTask, remaining_ms: Callable[[], int]) -> None:
        """Empty a bucket, until the run is paused again or the time is short.

        Raises: NotQueuedError for what is kept, to be put back again; what the table and the queue raise.
        """
        for page in self.parking.pages(task.tenant, task.run, task.bucket):
            control = self.campaigns.control(task.tenant, task.run, fresh=True)
            if control is None or control.state is RunState.PAUSED:
                return
            if remaining_ms() < RESERVE_MS:
                self.tasks.send([task])
                return
            failed = self.queues.send([Dispatch(envelope, body) for envelope, body in page])
            done = [envelope.id for envelope, _ in page if envelope.id not in failed]
            self.parking.delete(task.tenant, task.run, task.bucket, done)
            if failed:
                raise NotQueuedError(f"{len(failed)} of {len(page)} envelopes")
