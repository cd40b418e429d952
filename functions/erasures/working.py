"""Searches for a person everywhere, again and again until a whole search finds nothing any more.

The first search takes out what is there. The next one comes a quarter of an hour later, which is longer than any
function lives: it finds what was under way meanwhile. So the last search is the proof that nothing is left. How far a
search is, is kept after each piece; one that breaks off goes on there, and what was taken out stays out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from functions.erasures.person import Person
from functions.erasures.search.result import Place, Result
from shared.aws.erasures import ErasureQueue
from shared.base.logs import log_error
from shared.errors import LostError
from shared.model.clock import Clock
from shared.model.erasures import Erasure, ErasureState, ErasureTask
from shared.model.veils import Veil
from shared.store.catalog_items import Stored
from shared.store.erasures import ErasureStore
from shared.store.tenants import TenantStore
from shared.store.veils import VeilStore

logger = Logger(child=True)

SETTLED_MS = 16 * 60_000
"""A search that begins so long after the erasure was asked for sees all that functions did that knew nothing of it."""
LONGEST_MS = 6 * 3_600_000
"""Between two searches, however long something is waited for."""
RESERVE_S = 60
"""With less time than this left, a search goes on in another invocation."""


class _LostError(LostError):
    """Somebody else works on the erasure."""


class Worker:
    """Goes on with erasures. places: where a person is looked for, in order."""

    def __init__(
        self,
        store: ErasureStore,
        tenants: TenantStore,
        veils: VeilStore,
        queue: ErasureQueue,
        clock: Clock,
        places: Callable[[Person], Sequence[Place]],
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._veils = veils
        self._queue = queue
        self._clock = clock
        self._places = places

    def run(self, event: Mapping[str, Any], remaining_s: Callable[[], float]) -> dict[str, Any]:
        """Work on one SQS batch; returns the partial batch response."""
        failed = []
        for record in event["Records"]:
            try:
                self.work(ErasureTask.model_validate_json(record["body"]), remaining_s)
            except _LostError:
                logger.info("an erasure is worked on elsewhere")
            except ValidationError:
                logger.error("task cannot be read", message_id=record["messageId"])
                failed.append(record["messageId"])
            except Exception as error:  # of any kind: the task comes back, and goes on where it was
                log_error(logger, "an erasure broke off", error)
                failed.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}

    def work(self, task: ErasureTask, remaining_s: Callable[[], float]) -> None:
        """Go on with an erasure, or have it wait. Raises: what AWS raises; then it comes back."""
        stored = self._store.erasure(task.tenant, task.erasure)
        if stored is None or stored.value.state is ErasureState.DONE:
            return
        now, due = self._clock.now_ms(), max(stored.value.next_at or 0, stored.value.lease_until)
        if now < due:
            self._queue.send(task, (due - now) / 1000 + 1)
            return
        stored = self._begun(stored, now, remaining_s())
        try:
            self._search(stored, remaining_s)
        except _LostError:
            raise
        except BaseException:  # whatever it is, nobody has to wait for who is not at it any more
            self._give_up(task)
            raise

    def _begun(self, stored: Stored[Erasure], now: int, seconds: float) -> Stored[Erasure]:
        """Take the lease; a new search begins with empty hands. Raises: _LostError."""
        erasure = stored.value
        changes: dict[str, Any] = {"state": ErasureState.ERASING, "lease_until": now + round(seconds * 1000)}
        if not erasure.step and not erasure.position:
            changes |= {"began_at": now, "next_at": None, "changed": 0, "waiting": {}, "left": {}, "searched": {}}
        self._veils.put(erasure.tenant, erasure.name, Veil(erasure.veil, erasure.at))
        return self._saved(stored, changes)

    def _search(self, stored: Stored[Erasure], remaining_s: Callable[[], float]) -> None:
        tenant = self._tenants.tenant(stored.value.tenant)
        if tenant is None:
            raise LookupError("the erasure's tenant is gone")
        places = self._places(Person.of(stored.value, tenant.region))
        while stored.value.step < len(places):
            result = Result()
            for position in places[stored.value.step].search(stored.value.position, result):
                stored = self._saved(stored, _with(stored.value, result) | {"position": position})
                result.clear()
                if remaining_s() < RESERVE_S:
                    self._go_on(stored)
                    return
            step = {"step": stored.value.step + 1, "position": ""}
            stored = self._saved(stored, _with(stored.value, result) | step)
        self._end(stored)

    def _go_on(self, stored: Stored[Erasure]) -> None:
        self._saved(stored, {"lease_until": 0})
        self._queue.send(_task(stored.value))

    def _end(self, stored: Stored[Erasure]) -> None:
        """A whole search is over: either it is the proof, or there is another one."""
        erasure, now = stored.value, self._clock.now_ms()
        over: dict[str, Any] = {"searches": erasure.searches + 1, "step": 0, "position": "", "lease_until": 0}
        settled = erasure.began_at >= erasure.at + SETTLED_MS
        if settled and not erasure.changed and not erasure.waiting:
            gone = {"address": "", "tag": "", "veil": ""}
            self._saved(stored, over | gone | {"state": ErasureState.DONE, "done_at": now, "next_at": None})
            return
        pause = min(LONGEST_MS, SETTLED_MS << min(erasure.searches, 10))
        waiting = self._saved(stored, over | {"state": ErasureState.WAITING, "next_at": now + pause})
        self._queue.send(_task(waiting.value), pause / 1000)

    def _give_up(self, task: ErasureTask) -> None:
        try:
            if stored := self._store.erasure(task.tenant, task.erasure):
                self._store.save(stored.value.model_copy(update={"lease_until": 0}), stored.rev)
        except Exception as error:  # of any kind: the lease ends by itself
            log_error(logger, "a lease was not given back", error)

    def _saved(self, stored: Stored[Erasure], changes: Mapping[str, Any]) -> Stored[Erasure]:
        """Raises: _LostError."""
        saved = self._store.save(stored.value.model_copy(update=changes), stored.rev)
        if saved is None:
            raise _LostError
        return saved


def _with(erasure: Erasure, result: Result) -> dict[str, Any]:
    """The counts of an erasure with what a piece of its search found."""
    found: dict[str, Any] = {"changed": erasure.changed + result.erased.total()}
    for name in ("erased", "waiting", "left", "searched"):
        counts = dict(getattr(erasure, name))
        for place, count in getattr(result, name).items():
            counts[place] = counts.get(place, 0) + count
        found[name] = {place: count for place, count in counts.items() if count}
    return found


def _task(erasure: Erasure) -> ErasureTask:
    return ErasureTask(tenant=erasure.tenant, erasure=erasure.id)
