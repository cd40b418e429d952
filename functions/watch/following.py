"""Follows accepted messages through their ledgers to where they are now, and ends what nobody works on any more.

A message's address is in its envelope alone, so nothing here can send one, and nothing has to: what has an outcome that
the trace missed is told again, and what is beyond its time to live is closed in its ledger, where whoever still holds
the envelope finds it ended.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aws_lambda_powertools import Logger

from shared.aws.stream import EventStream
from shared.dispatch.lineage import Child, children, dead_letters
from shared.dispatch.settle import close
from shared.model.clock import Clock
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import Numbering, ulid_value
from shared.model.letters import redriven_id
from shared.model.reasons import Reason
from shared.model.words import OUTCOMES, Stage
from shared.policy.simulation import receipts
from shared.store.ledger import TTL_S, Entry, HeldError, Ledger
from shared.store.marks import Look
from shared.store.timeline import EventKey, Timeline

logger = Logger(child=True)

GRACE_MS = 3_600_000
"""Beyond the time to live, before a message is ended: much longer than a queue hides one (`infra/messaging.py`)."""
TOO_LONG_MS = 3_600_000
"""A message that was due longer ago than this has been in flight for too long."""
LOOK_AGAIN_MS = 3_600_000
UNBOUNDED_MS = 14 * 86_400_000
"""The time to live of what has none: after that no queue holds it any more (`infra/messaging.py`)."""


@dataclass(frozen=True, slots=True)
class Root:
    """The messages of a root envelope. tags: by recipient. header: what their accepted events say of all of them."""

    tenant: str
    id: str
    tags: Mapping[int, str]
    header: Mapping[str, Any]

    def key(self, i: int, stage: str, n: int) -> EventKey:
        """Where an event of a recipient is kept."""
        return f"{self.tenant}#{self.tags[i]}", f"{Numbering(self.id)(i)}{self.tags[i]}#{stage}#{n}"

    def record(self, envelope_id: str, rows: list[EventRow]) -> StreamRecord:
        """A stream record as the dispatcher would have written it."""
        known = {name: self.header[name] for name in ("channel", "class", "template", "version", "request", "kind")}
        optional = {name: self.header.get(name) for name in ("run", "reference")}
        return StreamRecord(tenant=self.tenant, envelope=envelope_id, events=rows, **known, **optional)


@dataclass(frozen=True, slots=True)
class Leg:
    """An envelope on the way of some of a root's messages.

    due_at, expires_at: milliseconds since the epoch. attempt, generation, unsure, doubtful: as in the envelope.
    retry: it came about by a retry.
    """

    root: Root
    id: str
    recipients: Sequence[int]
    due_at: int
    expires_at: int
    attempt: int = 0
    generation: int = 0
    unsure: Mapping[int, str] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()
    retry: bool = False

    @property
    def over_at(self) -> int:
        """When nothing can come of it any more."""
        return max(self.due_at, self.expires_at) + GRACE_MS

    def child(self, child: Child) -> "Leg":
        """The leg of an envelope that carries on."""
        return replace(
            self,
            id=f"{self.id}/{child.suffix}",
            recipients=child.recipients,
            due_at=child.due_at or self.due_at,
            attempt=child.attempt,
            unsure=child.unsure,
            doubtful=child.doubtful,
            retry=child.due_at is not None,
        )


@dataclass(slots=True)
class Told:
    """A closed ledger's rows, of which the timeline should know. ended: those that were written just now."""

    leg: Leg
    rows: list[EventRow]
    ended: list[EventRow] = field(default_factory=list)


class Follower:
    """Follows messages; every step of it may be repeated, and two may follow the same ones."""

    def __init__(self, timeline: Timeline, ledger: Ledger, stream: EventStream, clock: Clock) -> None:
        self._timeline = timeline
        self._ledger = ledger
        self._stream = stream
        self._clock = clock

    def follow(self, tenant: str, request_ids: Sequence[str], traced_ms: int, look: Look) -> Counter[str]:
        """Follow the messages of some requests; returns how many were mended, by what was done.

        traced_ms: what was recorded before this time the trace has seen, or will never see. look: notes what is in
        flight. Raises: what the tables and the stream raise.
        """
        legs = self._first_legs(tenant, request_ids, look)
        told: list[Told] = []
        while legs:
            entries = self._ledger.read_all([leg.id for leg in legs])
            closed = [found for leg in legs if (found := self._closed(leg, entries.get(leg.id), look)) is not None]
            told += closed
            legs = [leg for each in closed for leg in _carried_on(each)] + self._redriven(closed)
        return self._tell(told, traced_ms, look)

    def _first_legs(self, tenant: str, request_ids: Sequence[str], look: Look) -> list[Leg]:
        """The root envelopes of requests, as they were accepted."""
        found = [
            (root, ids) for each in self._timeline.accepted_of_many(tenant, request_ids) for root, ids in each.items()
        ]
        roots = [Root(tenant, id, _tags(id, ids), {}) for id, ids in found]
        firsts = [(root, min(root.tags)) for root in roots]
        events = self._timeline.read(
            [root.key(i, stage, 0) for root, i in firsts for stage in (Stage.ACCEPTED, Stage.DEFERRED)]
        )
        legs = []
        for root, i in firsts:
            header = events.get(root.key(i, Stage.ACCEPTED, 0))
            if header is None:
                # The index came through and the events did not: there is nothing to go by.
                now = self._clock.now_ms()
                look.add("untraced", len(root.tags), now, now + LOOK_AGAIN_MS, too_long=True)
                continue
            deferred = events.get(root.key(i, Stage.DEFERRED, 0))
            due_at = deferred["until"] if deferred else header["at"]
            expires_at = header.get("expires_at", due_at + UNBOUNDED_MS)
            legs.append(Leg(replace(root, header=header), root.id, sorted(root.tags), due_at, expires_at))
        return legs

    def _closed(self, leg: Leg, entry: Entry | None, look: Look) -> Told | None:
        """The leg's rows once its ledger is closed, or has to be; else None, and the look notes how it stands."""
        if entry is not None and entry.closed:
            return Told(leg, entry.rows)
        now = self._clock.now_ms()
        if now >= leg.over_at and (entry is None or entry.lease <= now):
            try:
                return self._end(leg)
            except HeldError:
                logger.info("envelope is worked on after all", envelope=leg.id)
        again_at = max(now, leg.due_at) + LOOK_AGAIN_MS
        too_long = now - leg.due_at > TOO_LONG_MS
        look.add(_standing(leg, entry, now), len(leg.recipients), leg.due_at, again_at, too_long)
        return None

    def _end(self, leg: Leg) -> Told:
        """Close a ledger on which nobody works. Raises: HeldError."""
        ended: list[EventRow] = []

        def end(seen: Entry, now: int) -> list[EventRow]:
            ended[:] = _ended(leg, seen, now)
            return seen.rows + ended

        rows = close(leg.id, self._ledger, self._clock, end)
        mine = [row for row in ended if row in rows]
        if mine:
            logger.warning("ended what nobody works on", envelope=leg.id, recipients=len(mine))
        return Told(leg, rows, mine)

    def _redriven(self, closed: Sequence[Told]) -> list[Leg]:
        """The envelopes by which dead letters were sent anew."""
        found = [
            (each.leg, f"{each.leg.id}/{suffix}", recipients)
            for each in closed
            for suffix, recipients in dead_letters(each.rows, each.leg.generation)
        ]
        in_doubt = {each.leg.id: {row["i"] for row in each.rows if row.get("maybe")} for each in closed}
        keys = [leg.root.key(recipients[0], Stage.REDRIVEN, leg.generation + 1) for leg, _, recipients in found]
        events = self._timeline.read(keys) if keys else {}
        legs = []
        for (leg, letter_id, recipients), key in zip(found, keys, strict=True):
            event = events.get(key)
            if event is not None:
                at = event["at"]
                id, generation = redriven_id(letter_id, leg.generation), leg.generation + 1
                expires_at = event.get("expires_at", at + UNBOUNDED_MS)
                doubtful = frozenset(i for i in recipients if i in in_doubt[leg.id])
                legs.append(Leg(leg.root, id, recipients, at, expires_at, generation=generation, doubtful=doubtful))
        return legs

    def _tell(self, told: Sequence[Told], traced_ms: int, look: Look) -> Counter[str]:
        """Put the events on the stream that were ended just now, or that the trace has missed."""
        events = [(each, row) for each in told for row in each.rows + receipts(each.rows)]
        keys = [(each, row, each.leg.root.key(row["i"], row["s"], row["n"])) for each, row in events]
        kept = self._timeline.existing([key for _, _, key in keys]) if keys else set()
        mended: Counter[str] = Counter()
        missing: dict[str, tuple[Leg, list[EventRow]]] = {}
        for each, row, key in keys:
            if key in kept:
                continue
            ended = row in each.ended
            if not ended and row["at"] > traced_ms:
                # On its way through the stream, or in the hands of a dispatcher that goes on with it.
                if row["s"] in OUTCOMES:
                    look.add("untold", 1, row["at"], self._clock.now_ms() + LOOK_AGAIN_MS, too_long=False)
                continue
            missing.setdefault(each.leg.id, (each.leg, []))[1].append(row)
            mended["ended" if ended else "restated"] += 1
            look.mended += row["s"] in OUTCOMES
        if missing:
            self._stream.put([leg.root.record(id, rows) for id, (leg, rows) in missing.items()])
        return mended


def _tags(root: str, message_ids: Sequence[str]) -> dict[int, str]:
    first, length = ulid_value(root), len(root)
    return {ulid_value(message_id[:length]) - first: message_id[length:] for message_id in message_ids}


def _carried_on(told: Told) -> Iterator[Leg]:
    leg = told.leg
    return (leg.child(child) for child in children(told.rows, leg.recipients, leg.attempt, leg.unsure, leg.doubtful))


def _standing(leg: Leg, entry: Entry | None, now: int) -> str:
    if entry is not None:
        return "leased" if entry.lease > now else "lease_expired"
    if leg.due_at > now:
        return "retrying" if leg.retry else "deferred"
    return "retry_overdue" if leg.retry else "waiting"


def _ended(leg: Leg, seen: Entry, now: int) -> list[EventRow]:
    """Rows for those who have none: `unknown` if something may have been sent to them, else `expired`."""
    accounts = {i: account for account, found in seen.flight.items() for i in found}
    done = {row["i"] for row in seen.rows}
    # An entry that old is forgotten, and whoever wrote it may have sent.
    forgotten = not seen.owner and now - leg.due_at > 1000 * TTL_S
    rows = []
    for i in leg.recipients:
        if i in done:
            continue
        row: EventRow = {"i": i, "tag": leg.root.tags[i], "s": Stage.EXPIRED, "n": leg.generation, "at": now}
        row["why"] = Reason.EXPIRED
        if i in accounts:
            row["s"], row["why"], row["acc"] = Stage.UNKNOWN, Reason.INTERRUPTED, accounts[i]
        elif i in leg.doubtful or i in leg.unsure or forgotten:
            row["s"], row["why"] = Stage.UNKNOWN, Reason.LOST_TRACK
        rows.append(row)
    return rows
