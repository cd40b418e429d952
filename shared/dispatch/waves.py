"""Takes one envelope through decide, acquire, send and record, so that no crash makes its messages go out unnoticed.

Before recipients are handed to a provider they are marked in flight; their outcomes are recorded in the write that
marks the next ones, or that closes the ledger. Whoever finds recipients in flight under a lease that has ended knows
that they may have been sent: their outcome is unknown, and what follows is the class's rule for that.
"""

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from aws_lambda_powertools import Logger

from shared.dispatch.plan import RESERVE_S, Call, Plan, flight
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

    def acquire_all(self, entries: Mapping[str, Entry]) -> dict[str, Entry | None]: ...

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> None: ...

    def record(self, envelope_id: str, entry: Entry) -> None: ...


@dataclass(slots=True)
class Work:
    """An envelope that is decided: its plan, the first wave, and the entry under which its ledger is to be written."""

    plan: Plan
    wave: list[Call]
    mine: Entry

    @property
    def id(self) -> str:
        """The envelope's id."""
        return self.plan.envelope.id

    def entry(self) -> Entry:
        """What the ledger must hold before the wave is sent."""
        in_flight = flight(self.wave)
        return replace(self.mine, rows=self.plan.rows, flight=in_flight, closed=not in_flight)


class Waves:
    """Works envelopes off: `decide` each, `acquire` them together, then `send` each; shared by threads."""

    def __init__(
        self, sender: Sender, ledger: Ledger, clock: Clock, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep

    def decide(self, envelope: Envelope, remaining_s: Callable[[], float]) -> Work:
        """Plan an envelope; nothing is written or sent. Raises: what `Sender.plan` raises."""
        plan = self._sender.plan(envelope)
        lease = self._clock.now_ms() + int((remaining_s() + LEASE_MARGIN_S) * 1000)
        # Of a repeated write the ledger must know that it is the same one, so each lease has an owner of its own.
        return Work(plan, plan.wave(remaining_s()), Entry(secrets.token_hex(8), lease))

    def acquire(self, works: Sequence[Work]) -> dict[str, Entry | None]:
        """Open ledgers; returns by id None, or what is there already. Raises: what the ledger raises."""
        return self._ledger.acquire_all({work.id: work.entry() for work in works}) if works else {}

    def send(self, work: Work, seen: Entry | None, remaining_s: Callable[[], float]) -> list[EventRow]:
        """Send what can be sent in the time; returns the rows of all recipients that are done with in this envelope.

        seen: what `acquire` found. The ledger is closed afterwards: recipients without a row are carried on by a
        continuation. Raises: HeldError; what the ledger raises.
        """
        if seen is not None:
            if seen.closed:
                return seen.rows
            self._take_over(work, seen, remaining_s)
        plan = work.plan
        while work.wave:
            plan.rows += self._sender.call(plan.envelope, work.wave, remaining_s)
            work.wave = plan.wave(remaining_s())
            self._record(work, remaining_s)
        return plan.rows

    def _take_over(self, work: Work, seen: Entry, remaining_s: Callable[[], float]) -> None:
        if seen.lease > self._clock.now_ms():
            raise HeldError
        plan = work.plan
        plan.calls.extendleft(reversed(work.wave))
        plan.resume(seen.rows + self._unknown(plan.envelope, seen))
        work.wave = plan.wave(remaining_s())
        self._ledger.take_over(work.id, seen, work.entry())

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

    def _record(self, work: Work, remaining_s: Callable[[], float]) -> None:
        """Record outcomes, as often as the time allows: nobody else knows them."""
        wait = 0.1
        while True:
            try:
                return self._ledger.record(work.id, work.entry())
            except HeldError:
                raise
            except Exception as error:  # botocore's errors share no useful base with the connection's
                if remaining_s() < wait + RESERVE_S / 2:
                    raise
                log_error(logger, "outcomes not recorded yet", error, envelope=work.id)
            self._sleep(wait)
            wait = min(2 * wait, 2.0)
