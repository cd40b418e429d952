"""Stops messages: marks them in the ledgers of the envelopes that hold them, and says what came of it for each."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from aws_lambda_powertools import Logger

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.lifecycle.recall import stoppable
from shared.lifecycle.walk import Leg, awaited_legs, fallen_legs, first_legs, next_legs
from shared.model.clock import Clock
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import ULID_LENGTH
from shared.model.words import OUTCOMES
from shared.store.awaiting import AwaitingStore, What
from shared.store.ledger import TTL_S, Entry, Ledger, Mark
from shared.store.timeline import Timeline

logger = Logger(child=True)

FORGOTTEN_MS = 1000 * TTL_S - 86_400_000
"""A ledger may have been forgotten if its envelope was due that long ago: a day less than it is kept."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a message came to its end."""

    leg: Leg
    row: EventRow
    """With which it did."""
    beside: Sequence[EventRow]
    """All rows of that envelope."""


@dataclass(slots=True)
class Stopped:
    """What was found."""

    reached: set[str] = field(default_factory=set)
    """Messages that are stopped if they can be."""
    ends: dict[str, End] = field(default_factory=dict)
    """Of these by id; the others are in progress."""
    lost: set[str] = field(default_factory=set)
    """Nobody can know any more what became of them."""
    records: list[StreamRecord] = field(default_factory=list)
    """Of those that were stopped, for the stream."""


class Stopper:
    """Stops messages wherever they are; doing it again finds the same. pool: for calls of the ledger."""

    def __init__(
        self, timeline: Timeline, ledger: Ledger, awaiting: AwaitingStore, clock: Clock, pool: Executor
    ) -> None:
        self._timeline = timeline
        self._ledger = ledger
        self._awaiting = awaiting
        self._clock = clock
        self._pool = pool

    def stop(self, tenant: str, request_ids: Sequence[str], wanted: Collection[str], by: str) -> Stopped:
        """Stop those messages of some requests that have not come to an end, and those by which they fall back or did.

        by: the id of the key that asks. Raises: what the tables raise, but for the mark of a single envelope: its
        messages are in progress.
        """
        found = Stopped()
        # A message and those by which it falls back have their ULID in common.
        ulids = {message_id[:ULID_LENGTH] for message_id in wanted}
        legs, _ = first_legs(self._timeline, tenant, request_ids)
        known = {leg.id for leg in legs}
        while legs:
            mine = [(leg, recipients) for leg in legs if (recipients := _wanted(leg, ulids))]
            found.reached |= {leg.root.message_id(i) for leg, recipients in mine for i in recipients}
            seen = self._ledger.read_all([leg.id for leg, _ in mine])
            marking = [self._pool.submit(self._mark, leg, who, seen.get(leg.id), by) for leg, who in mine]
            closed = []
            for (leg, recipients), future in zip(mine, marking, strict=True):
                entry = future.result()
                _note(found, leg, recipients, entry)
                if entry is None and self._forgotten(leg, seen.get(leg.id)):
                    found.lost |= {leg.root.message_id(i) for i in recipients}
                elif entry is not None and entry.closed:
                    closed.append((leg, entry.rows))
            legs = next_legs(self._timeline, closed) + fallen_legs(closed, known)
            legs += [leg for each in closed for leg in self._awaited(*each, ulids, known)]
        return found

    def _awaited(self, leg: Leg, rows: Sequence[EventRow], ulids: Collection[str], known: Collection[str]) -> list[Leg]:
        """Have no messages take the place of sent ones; the legs, but for `known` ones, of those that do already.

        Raises: what the table raises; LostError.
        """
        wanted = set(_wanted(leg, ulids))
        waiting = {row.index: row.awaits.to for row in rows if row.awaits is not None and row.index in wanted}
        if not waiting:
            return []
        decided = self._awaiting.decide(leg.id, waiting, What.RECALLED)
        return awaited_legs(leg, waiting, decided, known)

    def _mark(self, leg: Leg, recipients: Sequence[int], entry: Entry | None, by: str) -> Entry | None:
        """The ledger's entry, with the recipients marked unless it is closed; None if that cannot be had."""
        if self._forgotten(leg, entry):
            return None
        done = {row.index for row in entry.rows if not stoppable(row)} if entry is not None else set()
        mark = Mark(self._clock.now_ms(), by)
        marks = {i: mark for i in recipients if i not in done}
        if not marks:
            return entry
        try:
            return self._ledger.mark(leg.id, marks, leg.due_at, entry)
        except AWS_ERRORS as error:
            log_error(logger, "envelope could not be marked", error, envelope=leg.id)
            return None

    def _forgotten(self, leg: Leg, entry: Entry | None) -> bool:
        return entry is None and self._clock.now_ms() - leg.due_at > FORGOTTEN_MS


def _wanted(leg: Leg, ulids: Collection[str]) -> list[int]:
    return [i for i in leg.recipients if leg.root.message_id(i)[:ULID_LENGTH] in ulids]


def _note(found: Stopped, leg: Leg, recipients: Sequence[int], entry: Entry | None) -> None:
    """Note who came to an end in this envelope, or does for certain."""
    rows = list(entry.rows) if entry is not None else []
    if entry is not None and not entry.closed:
        # Those whom an earlier recall stopped are told once more: nobody knows whether that one came to tell it.
        stopped = leg.recalled(entry)
        if stopped:
            found.records.append(leg.root.record(leg.id, stopped))
        rows = leg.stopped(rows, {row.index: entry.recalled[row.index] for row in stopped})
    by_i: Mapping[int, EventRow] = {row.index: row for row in rows}
    for i in recipients:
        row = by_i.get(i)
        if row is not None and row.stage in OUTCOMES:
            found.ends[leg.root.message_id(i)] = End(leg, row, rows)
        else:
            # What carries on has not come to the end that an envelope before it came to.
            found.ends.pop(leg.root.message_id(i), None)
