"""Takes one envelope through decide, acquire, send and record, so that no crash makes its messages go out unnoticed.

Before recipients are handed to a provider they are marked in flight; their outcomes are recorded in the write that
marks the next ones, or that closes the ledger. Whoever finds recipients in flight under a lease that has ended knows
that they may have been sent: their outcome is unknown, and what follows is the class's rule for that.
"""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from aws_lambda_powertools import Logger

from shared.dispatch.plan import RESERVE_S, Plan, flight
from shared.dispatch.sending import Sender
from shared.dispatch.verdict import judge
from shared.logs import log_error
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import Unknown
from shared.model.reasons import Reason
from shared.store.ledger import Entry, HeldError

logger = Logger(child=True)

LEASE_MARGIN_S = 5
"""A lease ends this long after the function must have ended, for clocks that differ."""


class Ledger(Protocol):
    """Who works on an envelope, and what became of its recipients."""

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None: ...

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> None: ...

    def record(self, envelope_id: str, entry: Entry) -> None: ...


class Waves:
    """Works envelopes off; shared by threads."""

    def __init__(
        self, sender: Sender, ledger: Ledger, clock: Clock, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep

    def work(self, envelope: Envelope, remaining_s: Callable[[], float]) -> list[EventRow]:
        """Send what can be sent in the time; returns the rows of all recipients that are done with in this envelope.

        The ledger is closed then: those without a row are carried on by a continuation. Raises: HeldError; what the
        ledger and `Sender.plan` raise.
        """
        plan = self._sender.plan(envelope)
        lease = self._clock.now_ms() + int((remaining_s() + LEASE_MARGIN_S) * 1000)
        # Of a repeated write the ledger must know that it is the same one, so each lease has an owner of its own.
        mine = Entry(secrets.token_hex(8), lease)
        wave = plan.wave(remaining_s())
        seen = self._ledger.acquire(envelope.id, _entry(mine, plan, flight(wave)))
        if seen is not None:
            if seen.closed:
                return seen.rows
            if seen.lease > self._clock.now_ms():
                raise HeldError
            plan.calls.extendleft(reversed(wave))
            plan.resume(seen.rows + self._unknown(envelope, seen))
            wave = plan.wave(remaining_s())
            self._ledger.take_over(envelope.id, seen, _entry(mine, plan, flight(wave)))
        while wave:
            plan.rows += self._sender.call(plan.envelope, wave, remaining_s)
            wave = plan.wave(remaining_s())
            self._record(envelope.id, _entry(mine, plan, flight(wave)), remaining_s)
        return plan.rows

    def _unknown(self, envelope: Envelope, seen: Entry) -> list[EventRow]:
        """Rows for the recipients that somebody left in flight."""
        accounts = {i: account for account, found in seen.flight.items() for i in found}
        if not accounts:
            return []
        logger.warning("recipients were left in flight", envelope=envelope.id, recipients=len(accounts))
        now, chance = self._clock.now_ms(), random.random()  # noqa: S311 - spreads retries, guards nothing
        outcome = Unknown(Reason.INTERRUPTED, "")
        return [
            judge(envelope, r, outcome, now, chance, self._sender.via(envelope.tenant, accounts[r["i"]]))
            for r in envelope.recipients
            if r["i"] in accounts
        ]

    def _record(self, envelope_id: str, entry: Entry, remaining_s: Callable[[], float]) -> None:
        """Record outcomes, as often as the time allows: nobody else knows them."""
        wait = 0.1
        while True:
            try:
                return self._ledger.record(envelope_id, entry)
            except HeldError:
                raise
            except Exception as error:  # botocore's errors share no useful base with the connection's
                if remaining_s() < wait + RESERVE_S / 2:
                    raise
                log_error(logger, "outcomes not recorded yet", error, envelope=envelope_id)
            self._sleep(wait)
            wait = min(2 * wait, 2.0)


def _entry(mine: Entry, plan: Plan, in_flight: dict[str, list[int]]) -> Entry:
    return replace(mine, rows=plan.rows, flight=in_flight, closed=not in_flight)
