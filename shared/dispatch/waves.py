"""Takes one envelope through decide, pace, acquire, send and record, so that no crash makes messages go out unnoticed.

Before recipients are handed to a provider they are marked in flight; their outcomes are recorded in the write that
marks the next ones, or that closes the ledger. Whoever finds recipients in flight under a lease that has ended knows
that they may have been sent: their outcome is unknown, and what follows is the class's rule for that.

No write gets past the mark of a recall that it does not know of. Who meets one takes the recalled recipients out of
what is left and writes again, so that after a mark only what was in flight at that moment may still be sent.
"""

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.base.shared_reads import SharedReads
from shared.dispatch.decide.planning import Planner
from shared.dispatch.plan import RESERVE_S, Call, Plan, flight
from shared.dispatch.rates import Rates
from shared.dispatch.sending import Sender
from shared.lifecycle.fallback import decide
from shared.lifecycle.recall import stopped_in
from shared.lifecycle.verdict import judge
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow
from shared.model.outcome import Unknown
from shared.model.reasons import Reason
from shared.store.ledger import Entry, HeldError, Marks

logger = Logger(child=True)

LEASE_MARGIN_S = 5
"""A lease ends this long after the function must have ended, for clocks that differ."""
INSISTS = 5
"""How often a ledger is opened again of which nobody knows whether it is open: while a service is out of reach for
longer, a function that waits on for it costs its whole time, and nothing gets through."""


class Ledger(Protocol):
    """Who works on an envelope, and what became of its recipients."""

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None: ...

    def acquire_all(self, entries: Mapping[str, Entry]) -> dict[str, Entry | None]: ...

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None: ...

    def record(self, envelope_id: str, entry: Entry) -> Entry | None: ...


class Work(Struct):
    """An envelope that is decided: its plan, the first wave (none before it is paced), and the entry under which its
    ledger is to be written."""

    plan: Plan
    wave: list[Call]
    mine: Entry

    @property
    def id(self) -> str:
        """The envelope's id."""
        return self.plan.envelope.id

    def entry(self) -> Entry:
        """What the ledger must hold before the wave is sent; of who came to an end, whether they fall back."""
        decide(self.plan.envelope, self.plan.rows)
        in_flight = flight(self.wave)
        return replace(self.mine, rows=self.plan.told(), flight=in_flight, closed=not in_flight)

    def resume(self, known: Sequence[EventRow], marks: Marks, remaining_s: float) -> None:
        """Go on from `known`: rows that are recorded, and those of recipients that were in flight.

        marks: who is recalled; they get their row, and are in no call any more.
        """
        self.plan.calls.extendleft(reversed(self.wave))
        self.plan.resume(stopped_in(self.plan.envelope, known, marks))
        self.wave = self.plan.wave(remaining_s)
        self.mine = replace(self.mine, recalled=marks)


class Waves:
    """Works envelopes off: `decide` each, `pace` and `acquire` them together, then `send` each; shared by threads."""

    def __init__(
        self,
        planner: Planner,
        rates: Rates,
        sender: Sender,
        ledger: Ledger,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._planner = planner
        self._rates = rates
        self._sender = sender
        self._ledger = ledger
        self._clock = clock
        self._sleep = sleep

    def decide(self, envelope: Envelope, reads: SharedReads, remaining_s: Callable[[], float]) -> Work:
        """Plan an envelope; nothing is written or sent. Raises: what `Planner.plan` raises."""
        plan = self._planner.plan(envelope, reads)
        lease = self._clock.now_ms() + int((remaining_s() + LEASE_MARGIN_S) * 1000)
        # Of a repeated write the ledger must know that it is the same one, so each lease has an owner of its own.
        return Work(plan, [], Entry(secrets.token_hex(8), lease))

    def pace(self, works: Mapping[str, Work], remaining_s: Callable[[], float]) -> dict[str, Work]:
        """Give messages their places in the rates of their accounts; returns the works that may go on, by id."""
        failed = self._rates.pace([work.plan for work in works.values()])
        for work in works.values():
            work.wave = work.plan.wave(remaining_s())
        return {id: work for id, work in works.items() if id not in failed}

    def acquire(self, works: Sequence[Work]) -> dict[str, Entry | None]:
        """Open ledgers; returns by id None, or what is there already. Those that are left out go through `insist`."""
        return self._ledger.acquire_all({work.id: work.entry() for work in works}) if works else {}

    def insist(self, work: Work, remaining_s: Callable[[], float]) -> Entry | None:
        """Open a ledger of which nobody knows whether it is open by now; returns None, or what is there already.

        To hand the envelope back would leave its recipients marked in flight, if it is. Raises: what the ledger raises.
        """
        return self._until_done(lambda: self._ledger.acquire(work.id, work.entry()), work, remaining_s, INSISTS)

    def send(self, work: Work, seen: Entry | None, remaining_s: Callable[[], float]) -> list[EventRow]:
        """Send what can be sent in the time; returns the rows of all recipients that are done with in this envelope.

        seen: what `acquire` found. The ledger is closed afterwards: recipients without a row are carried on by a
        continuation. Raises: HeldError; what the ledger raises.
        """
        rows = self._work_off(work, seen, remaining_s)
        self._planner.release(work.plan, rows, seen)
        return rows

    def _work_off(self, work: Work, seen: Entry | None, remaining_s: Callable[[], float]) -> list[EventRow]:
        if seen is not None:
            if seen.closed:
                return seen.rows
            self._take_over(work, seen, remaining_s)
        plan = work.plan
        while work.wave:
            rows = self._sender.call(plan.envelope, work.wave, remaining_s)
            plan.rows += self._planner.failover(plan, work.wave, rows, remaining_s())
            self._planner.look_again(plan)
            if self._rates.pace([plan]):
                # Who was to go by another account is carried on by a continuation.
                plan.calls.clear()
            work.wave = plan.wave(remaining_s())
            self._record(work, remaining_s)
        return plan.rows

    def _take_over(self, work: Work, seen: Entry, remaining_s: Callable[[], float]) -> None:
        """Open a ledger that somebody left, or that holds marks alone."""
        found: Entry | None = seen
        while found is not None:
            if found.lease > self._clock.now_ms():
                raise HeldError
            known = found.rows + self._unknown(work.plan.envelope, found)
            work.resume(known, found.recalled, remaining_s())
            found = self._replace(work, found, remaining_s)

    def _replace(self, work: Work, seen: Entry, remaining_s: Callable[[], float]) -> Entry | None:
        """Replace the entry that was seen; the next wave is marked in flight with that, so nothing is left half-way."""
        return self._until_done(lambda: self._ledger.take_over(work.id, seen, work.entry()), work, remaining_s)

    def _unknown(self, envelope: Envelope, seen: Entry) -> list[EventRow]:
        """Rows for the recipients that somebody left in flight."""
        accounts = seen.in_flight()
        if not accounts:
            return []
        logger.warning("recipients were left in flight", envelope=envelope.id, recipients=len(accounts))
        now, chance = self._clock.now_ms(), random.random()  # noqa: S311 - spreads retries, guards nothing
        outcome = Unknown(Reason.INTERRUPTED, "")
        return [
            judge(envelope, r, outcome, now, chance, self._planner.via(envelope.tenant, accounts[r.index]))
            for r in envelope.recipients
            if r.index in accounts
        ]

    def _record(self, work: Work, remaining_s: Callable[[], float]) -> None:
        """Record outcomes and mark the next wave in flight, without those who were recalled in the meantime."""

        def record() -> Entry | None:
            return self._ledger.record(work.id, work.entry())

        # Nobody else knows the outcomes.
        while (there := self._until_done(record, work, remaining_s)) is not None:
            # What was decided of others since then is not known to who marked them.
            decided = {row.index for row in there.rows} | there.in_flight().keys()
            known = [row for row in work.plan.rows if row.index in decided]
            work.resume(known, there.recalled, remaining_s())

    def _until_done(
        self, write: Callable[[], Entry | None], work: Work, remaining_s: Callable[[], float], most: int | None = None
    ) -> Entry | None:
        """Write to the ledger, as often as the time allows, and `most`. Raises: HeldError; what the ledger raises."""
        wait = 0.1
        for tried in count(1):
            try:
                return write()
            except HeldError:
                raise
            except AWS_ERRORS as error:
                if remaining_s() < wait + RESERVE_S / 2 or tried == most:
                    raise
                log_error(logger, "ledger not written yet", error, envelope=work.id)
            self._sleep(wait)
            wait = min(2 * wait, 2.0)
        raise AssertionError("unreachable")  # counting never ends
