"""Asks for the events of a run's messages, a hundred in a request, and says which messages are in a set."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from functions.campaign.follow.reasons import Why
from functions.campaign.follow.sets import ROUNDS, Facts, by_all, may_be_revised, settled
from shared.model.campaigns import Who
from shared.model.clock import Clock
from shared.model.ids import ULID_LENGTH
from shared.model.runs import Run
from shared.model.words import Stage
from shared.store.counters import HOUR_MS, account_scope, run_scope, transient_name
from shared.store.dynamo import MAX_GET
from shared.store.kept_events import EventKey, KeptEvent, revised_key

HEARD_BEFORE, HEARD_AFTER = 7 * 24, 24
"""An account's provider says what was delivered if it has said so of any message accepted so many hours before the
run's or after."""
WHOLE = 100
"""Messages that are read as a whole at a time."""


class Timeline(Protocol):
    """See `shared.store.timeline.Timeline`."""

    def read(self, keys: Sequence[EventKey]) -> dict[EventKey, KeptEvent]: ...

    def existing(self, keys: Sequence[EventKey]) -> set[EventKey]: ...

    def events_of_many(self, tenant: str, message_ids: Sequence[str]) -> list[list[KeptEvent]]: ...


class Counts(Protocol):
    """See `shared.store.counters.Counters`."""

    def read(self, scope: str, first_hour: int, last_hour: int) -> Mapping[int, Mapping[str, int]]: ...


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts the messages of runs; thread-safe."""

    timeline: Timeline
    counters: Counts
    pool: Executor
    """For requests."""
    clock: Clock

    def sorting(self, followed: Run, run: Run) -> Callable[[Sequence[str]], dict[str, Why]]:
        """What says, by their ids, what becomes of messages of the run that is followed.

        Raises: what the stores raise, as it does itself.
        """
        follows = run.campaign.audience.follows
        if follows is None:
            raise ValueError("the run follows none")
        facts = Facts(follows, self.clock.now_ms())
        if follows.who is Who.NO_RECEIPT:
            speaking = _Speaking(self.counters, followed)
            hour = followed.fired_at // HOUR_MS
            counted = self.counters.read(run_scope(followed.tenant, followed.id), hour, hour).values()
            passing = any(counts.get(transient_name(Stage.UNDELIVERED)) for counts in counted)
            facts = Facts(follows, facts.now, speaking, passing)
        return lambda message_ids: self._sort(followed.tenant, facts, message_ids)

    def _sort(self, tenant: str, facts: Facts, message_ids: Sequence[str]) -> dict[str, Why]:
        found: dict[str, dict[str, KeptEvent]] = {id: {} for id in message_ids}
        done: dict[str, Why] = {}
        whole: list[str] = []
        for asked, stages in enumerate(ROUNDS[facts.follows.who], 1):
            for id, events in self._read(tenant, found, stages).items():
                found[id] |= events
            for id in self._revised(tenant, [id for id, events in found.items() if may_be_revised(events)]):
                whole.append(id)
                del found[id]
            for id in list(found):
                if (why := settled(facts, found[id], asked)) is not None:
                    done[id] = why
                    del found[id]
            if not found:
                break
        left = [*whole, *found]
        for at in range(0, len(left), WHOLE):
            ids = left[at : at + WHOLE]
            for id, events_of in zip(ids, self.timeline.events_of_many(tenant, ids), strict=True):
                done[id] = by_all(facts, events_of)
        return done

    def _revised(self, tenant: str, message_ids: Sequence[str]) -> list[str]:
        """Those of messages of which some openings or clicks that looked like a person's were a machine's."""
        keys = {revised_key(tenant, id): id for id in message_ids}
        parts = [list(keys)[at : at + MAX_GET] for at in range(0, len(keys), MAX_GET)]
        return [keys[key] for part in self.pool.map(self.timeline.existing, parts) for key in part]

    def _read(
        self, tenant: str, message_ids: Iterable[str], stages: Sequence[Stage]
    ) -> Mapping[str, dict[str, KeptEvent]]:
        """Those events of messages that are there and have the number 0, by message and stage."""
        keys = [(f"{tenant}#{id[ULID_LENGTH:]}", f"{id}#{stage}#0") for id in message_ids for stage in stages]
        parts = [keys[at : at + MAX_GET] for at in range(0, len(keys), MAX_GET)]
        found: dict[str, dict[str, KeptEvent]] = defaultdict(dict)
        for part in self.pool.map(self.timeline.read, parts):
            for (_, sort_key), event in part.items():
                found[sort_key.partition("#")[0]][event.stage] = event
        return found


class _Speaking:
    """The accounts whose providers say what was delivered: each is looked for once."""

    def __init__(self, counters: Counts, followed: Run) -> None:
        self._counters = counters
        self._tenant = followed.tenant
        self._hour = followed.fired_at // HOUR_MS
        self._known: dict[str | None, bool] = {None: False}

    def __contains__(self, account: object) -> bool:
        if account not in self._known:
            scope = account_scope(self._tenant, str(account))
            hours = self._counters.read(scope, self._hour - HEARD_BEFORE, self._hour + HEARD_AFTER)
            self._known[str(account)] = any(counts.get(Stage.DELIVERED) for counts in hours.values())
        return self._known[str(account)]
