"""Settles an envelope that its queue gave up: every recipient gets an end that people can see and act on.

A message reaches the dead-letter queue by the queue's own hand when functions died over it or handed it back too often.
Its ledger may hold outcomes, recipients in flight, or nothing yet.
"""

import secrets
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from shared.aws.queue import Dispatch
from shared.lifecycle.fallback import decide
from shared.lifecycle.recall import stopped_in
from shared.lifecycle.tail import Tail, tail
from shared.lifecycle.verdict import Via, judge, row
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import Unknown
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.ledger import Entry, HeldError


class Ledger(Protocol):
    """Who works on an envelope, and what became of its recipients."""

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None: ...

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None: ...


def settle(envelope: Envelope, ledger: Ledger, clock: Clock, reason: Reason = Reason.GIVEN_UP) -> Tail:
    """Close a given-up envelope's ledger and return what follows from it; doing it again gives the same.

    Recorded outcomes stand. Recipients in flight are unknown, with the class's rule for that. Who is recalled stays
    recalled. The others are dead letters, for this reason. Raises: HeldError while somebody works on the envelope; what
    the ledger raises.
    """

    def end(seen: Entry, now: int) -> list[EventRow]:
        rows = stopped_in(envelope, seen.rows + _left_in_flight(envelope, seen, now), seen.recalled)
        rows += _given_up(envelope, {r.index for r in rows}, now, reason)
        decide(envelope, rows)
        return rows

    result = tail(envelope, close(envelope.id, ledger, clock, end))
    # Held anew by who receives them, if their run is still paused.
    result.dispatches += [Dispatch(each, each.to_json()) for each in result.parked]
    result.parked = []
    return result


def close(
    envelope_id: str, ledger: Ledger, clock: Clock, end: Callable[[Entry, int], list[EventRow]]
) -> list[EventRow]:
    """Close a ledger on which nobody works, and return its rows: those recorded before if it was closed already.

    end: all rows of the envelope, from the entry that is there (an empty one if there is none) and the time.
    Raises: HeldError while somebody works on the envelope; what the ledger raises.
    """
    now = clock.now_ms()
    nobody = Entry("", 0)
    mine = Entry(secrets.token_hex(8), now, closed=True, rows=end(nobody, now))
    seen = ledger.acquire(envelope_id, mine)
    while seen is not None:
        if seen.closed:
            return seen.rows
        if seen.lease > now:
            raise HeldError
        mine = replace(mine, rows=end(seen, now), recalled=seen.recalled)
        seen = ledger.take_over(envelope_id, seen, mine)
    return mine.rows


def _left_in_flight(envelope: Envelope, seen: Entry, now: int) -> list[EventRow]:
    accounts = seen.in_flight()
    outcome = Unknown(Reason.INTERRUPTED, "")
    return [
        judge(envelope, r, outcome, now, 0, Via(accounts[r.index], ""))
        for r in envelope.recipients
        if r.index in accounts
    ]


def _given_up(envelope: Envelope, done: set[int], now: int, reason: Reason) -> list[EventRow]:
    rows = []
    for recipient in envelope.recipients:
        if recipient.index not in done:
            dead = row(envelope, recipient, Stage.DEAD_LETTERED, now, reason=reason)
            if recipient.index in envelope.maybe_sent or recipient.index in envelope.ask_account:
                dead.maybe_sent = True
            rows.append(dead)
    return rows
