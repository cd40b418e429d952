"""Follows accepted messages through their ledgers to where they are now, and ends what nobody works on any more.

A message's address is in its envelope alone, so nothing here can send one, and nothing has to: what has an outcome that
the trace missed is told again, and what is beyond its time to live is closed in its ledger, where whoever still holds
the envelope finds it ended.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec.structs import replace

from shared.aws.stream import EventStream
from shared.lifecycle.settle import close
from shared.lifecycle.walk import Leg, first_legs, next_legs
from shared.model.clock import Clock
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.runs import RunState
from shared.model.words import OUTCOMES, Stage
from shared.policy.simulation import receipts
from shared.store.campaigns import Control
from shared.store.ledger import TTL_S, Entry, HeldError, Ledger
from shared.store.marks import Look
from shared.store.timeline import Timeline

logger = Logger(child=True)

GRACE_MS = 3_600_000
"""Beyond the time to live, before a message is ended: much longer than a queue hides one (`infra/messaging.py`)."""
TOO_LONG_MS = 3_600_000
"""A message that was due longer ago than this has been in flight for too long."""
LOOK_AGAIN_MS = 3_600_000
TOGETHER = 250
"""Root envelopes that are followed together, each of up to 100 messages: it bounds how much is known at once."""


@dataclass(slots=True)
class Told:
    """A ledger's rows of which the timeline should know."""

    leg: Leg
    rows: list[EventRow]
    ended: list[EventRow] = field(default_factory=list)
    """Those that were written just now."""
    closed: bool = True
    """All its rows are there; of an open ledger they are those of recalled recipients."""


class Runs(Protocol):
    """Where it is read how a run stands, and since when."""

    def control(self, tenant: str, run: str) -> Control | None: ...


class Follower:
    """Follows messages; every step of it may be repeated, and two may follow the same ones."""

    def __init__(self, timeline: Timeline, runs: Runs, ledger: Ledger, stream: EventStream, clock: Clock) -> None:
        self._timeline = timeline
        self._runs = runs
        self._ledger = ledger
        self._stream = stream
        self._clock = clock

    def follow(self, tenant: str, request_ids: Sequence[str], traced_ms: int, look: Look) -> Counter[str]:
        """Follow the messages of some requests; returns how many were mended, by what was done.

        traced_ms: what was recorded before this time the trace has seen, or will never see. look: notes what is in
        flight. Raises: what the tables and the stream raise.
        """
        legs, untraced = first_legs(self._timeline, tenant, request_ids)
        for root in untraced:
            # The index came through and the events did not: there is nothing to go by.
            now = self._clock.now_ms()
            look.add("untraced", len(root.tags), now, now + LOOK_AGAIN_MS, too_long=True)
        mended: Counter[str] = Counter()
        for start in range(0, len(legs), TOGETHER):
            mended.update(self._follow(legs[start : start + TOGETHER], traced_ms, look))
        return mended

    def _follow(self, legs: list[Leg], traced_ms: int, look: Look) -> Counter[str]:
        told: list[Told] = []
        while legs:
            entries = self._ledger.read_all([leg.id for leg in legs])
            found = [self._look(leg, entries.get(leg.id), look) for leg in legs]
            told += found
            legs = next_legs(self._timeline, [(each.leg, each.rows) for each in found if each.closed])
        return self._tell(told, traced_ms, look)

    def _look(self, leg: Leg, entry: Entry | None, look: Look) -> Told:
        """The leg's rows once its ledger is closed, or has to be; else the look notes how it stands."""
        if entry is not None and entry.closed:
            return Told(leg, entry.rows)
        now = self._clock.now_ms()
        if now >= max(leg.due_at, leg.expires_at) + GRACE_MS and (entry is None or entry.lease <= now):
            try:
                return self._end(leg)
            except HeldError:
                logger.info("envelope is worked on after all", envelope=leg.id)
        recalled = leg.recalled(entry) if entry is not None else []
        if left := len(leg.recipients) - len(recalled):
            self._note(leg, entry, left, now, look)
        return Told(leg, recalled, closed=False)

    def _note(self, leg: Leg, entry: Entry | None, count: int, now: int, look: Look) -> None:
        """Note how those stand of a leg who have not come to an end."""
        again_at = max(now, leg.due_at) + LOOK_AGAIN_MS
        run = leg.root.known.run
        control = None if run is None else self._runs.control(leg.root.tenant, run)
        worked_on = entry is not None and entry.owner
        if control is not None and control.state is RunState.PAUSED and leg.parked and not worked_on:
            look.add("paused", count, leg.due_at, again_at, too_long=False)
            return
        # What was held is not late by the time for which its run was paused.
        since = leg.due_at if control is None else max(leg.due_at, control.at)
        look.add(_standing(leg, entry, now), count, since, again_at, now - since > TOO_LONG_MS)

    def _end(self, leg: Leg) -> Told:
        """Close a ledger on which nobody works. Raises: HeldError."""
        ended: list[EventRow] = []

        def end(seen: Entry, now: int) -> list[EventRow]:
            in_flight = seen.in_flight()
            known = leg.stopped(seen.rows, {i: mark for i, mark in seen.recalled.items() if i not in in_flight})
            ended[:] = _ended(leg, replace(seen, rows=known), now)
            return known + ended

        rows = close(leg.id, self._ledger, self._clock, end)
        mine = [row for row in ended if row in rows]
        if mine:
            logger.warning("ended what nobody works on", envelope=leg.id, recipients=len(mine))
        return Told(leg, rows, mine)

    def _tell(self, told: Sequence[Told], traced_ms: int, look: Look) -> Counter[str]:
        """Put the events on the stream that were ended just now, or that the trace has missed."""
        events = [(each, row) for each in told for row in each.rows + receipts(each.rows)]
        keys = [(each, row, each.leg.root.key(row.index, row.stage, row.nth)) for each, row in events]
        kept = self._timeline.existing([key for _, _, key in keys]) if keys else set()
        mended: Counter[str] = Counter()
        missing: dict[str, tuple[Leg, list[EventRow]]] = {}
        for each, row, key in keys:
            if key in kept:
                continue
            ended = row in each.ended
            if not ended and row.at > traced_ms:
                # On its way through the stream, or in the hands of a dispatcher that goes on with it.
                if row.stage in OUTCOMES:
                    look.add("untold", 1, row.at, self._clock.now_ms() + LOOK_AGAIN_MS, too_long=False)
                continue
            missing.setdefault(each.leg.id, (each.leg, []))[1].append(row)
            mended["ended" if ended else "restated"] += 1
            look.mended += row.stage in OUTCOMES
        if missing:
            self._stream.put([leg.root.record(id, rows) for id, (leg, rows) in missing.items()])
        return mended


def _standing(leg: Leg, entry: Entry | None, now: int) -> str:
    if entry is not None and entry.owner:
        return "leased" if entry.lease > now else "lease_expired"
    if leg.due_at > now:
        return "retrying" if leg.retry else "deferred"
    return "retry_overdue" if leg.retry else "waiting"


def _ended(leg: Leg, seen: Entry, now: int) -> list[EventRow]:
    """Rows for those who have none: `unknown` if something may have been sent to them, else `expired`."""
    accounts = seen.in_flight()
    done = {row.index for row in seen.rows}
    # An entry that old is forgotten, and whoever wrote it may have sent.
    forgotten = not seen.owner and now - leg.due_at > 1000 * TTL_S
    rows = []
    for i in leg.recipients:
        if i in done:
            continue
        row = EventRow(index=i, tag=leg.root.tags[i], stage=Stage.EXPIRED, nth=leg.generation, at=now)
        row.reason = Reason.EXPIRED
        if i in accounts:
            row.stage, row.reason, row.account = Stage.UNKNOWN, Reason.INTERRUPTED, accounts[i]
        elif i in leg.maybe_sent or i in leg.ask_account or forgotten:
            row.stage, row.reason = Stage.UNKNOWN, Reason.LOST_TRACK
        rows.append(row)
    return rows
