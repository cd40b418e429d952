"""Sent messages that may still fall back: what is kept of them, and what follows once it is decided.

The dispatcher keeps their envelope and has the function of receipts look at it when their time is over. That function
decides, by the one store in which the first decision stays, and makes what follows from the decisions alone: a repeat
makes the same messages.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct, field
from msgspec.structs import replace

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import NotQueuedError
from shared.lifecycle.fallback import fallen
from shared.lifecycle.lineage import LATE, undelivered_suffix
from shared.model.address import mask
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow, Seal, StreamRecord, accepted_rows, awaits, record_of
from shared.model.ids import Numbering
from shared.model.receipts import Look, Receipt, Waiting
from shared.model.words import Stage
from shared.policy.awaiting import too_late
from shared.store.awaiting import Decision, What

logger = Logger(child=True)


class Awaited(Struct, frozen=True):
    """What is kept of a sent envelope."""

    envelope: Envelope
    """With those recipients alone whose messages wait."""
    due_at: int | None
    """When their time is over, in milliseconds since the epoch; None if only what comes back falls back."""
    receipts: list[Receipt] = field(default_factory=list)
    """What a simulated provider reports of them."""


def awaited(envelope: Envelope, rows: Iterable[EventRow], simulated: Iterable[EventRow]) -> Awaited | None:
    """What is to be kept of an envelope, by its recorded rows; None if nobody's message waits. Pure."""
    waiting = {row.index: row.awaits for row in rows if row.awaits is not None and row.stage == Stage.SENT}
    if not waiting:
        return None
    kept = replace(envelope, recipients=[r for r in envelope.recipients if r.index in waiting], attachments=[])
    due = max((each.due_at or 0 for each in waiting.values()), default=0)
    number = Numbering(envelope.root)
    told = [
        Receipt(
            stage=Stage(row.stage),
            at=row.at,
            tenant=envelope.tenant,
            message_id=number(row.index) + row.tag,
            reason=row.reason,
            code=row.code,
        )
        for row in simulated
        if row.index in waiting
    ]
    return Awaited(kept, due or None, told)


class Follower(NamedTuple):
    """Another message in place of some that were sent, and what is told of both."""

    envelope: Envelope
    records: Sequence[StreamRecord]


def late_followers(envelope: Envelope, decisions: Mapping[int, Decision], seal: Seal | None = None) -> list[Follower]:
    """One envelope in the place of all messages that were late; none if none was, or no other channel is known. Pure.

    decisions: on all recipients, since a repeat must come to the same. seal: None where addresses are not kept.
    """
    late = [i for i, decision in decisions.items() if decision.what is What.LATE]
    follower = _follower(envelope, LATE, late, decisions, {}, seal)
    return [] if follower is None else [follower]


def undelivered_followers(
    envelope: Envelope, decisions: Mapping[int, Decision], why: Mapping[int, Receipt], seal: Seal | None = None
) -> list[Follower]:
    """An envelope in the place of each message that came back, unless its time had been over before. Pure.

    why: what was said of them. seal: None where addresses are not kept.
    """
    back = [i for i in why if decisions[i].what is What.UNDELIVERED]
    found = (_follower(envelope, undelivered_suffix(i), [i], decisions, why, seal) for i in back)
    return [each for each in found if each is not None]


def _follower(
    envelope: Envelope,
    suffix: str,
    some: Collection[int],
    decisions: Mapping[int, Decision],
    why: Mapping[int, Receipt],
    seal: Seal | None,
) -> Follower | None:
    rows = _rows(envelope, some, decisions, why)
    by_i = {row.index: row for row in rows}
    other = fallen(envelope, suffix, by_i.keys(), by_i) if rows else None
    if other is None:
        return None
    return Follower(other, [record_of(envelope, rows), record_of(other, accepted_rows(other, seal))])


def _rows(
    envelope: Envelope, some: Collection[int], decisions: Mapping[int, Decision], why: Mapping[int, Receipt]
) -> list[EventRow]:
    rows = []
    for recipient in envelope.recipients:
        wanted = awaits(envelope, recipient)
        if recipient.index not in some or wanted is None:
            continue
        said = why.get(recipient.index)
        row = EventRow(index=recipient.index, tag=recipient.tag, stage=Stage.FELL_BACK.value, nth=0, at=0)
        row.at, row.fell_back_to = decisions[recipient.index].at, wanted.to
        row.reason = too_late(wanted.until) if said is None else said.reason
        row.masked_address = mask(envelope.channel.value, recipient.address)
        row.reference = recipient.reference
        rows.append(row)
    return rows


class Store(Protocol):
    """Where envelopes wait."""

    def keep(self, envelope: Envelope) -> None: ...


class Queue(Protocol):
    """The queue of receipts."""

    def look(self, look: Look, now: int) -> None: ...

    def wait(self, waiting: Waiting, delay_s: int) -> None: ...


class Keeping(Struct, frozen=True):
    """Keeps what awaits more than to be sent. No request is made where nothing does."""

    store: Store
    queue: Queue
    clock: Clock

    def keep(self, found: Sequence[tuple[str, Awaited]]) -> set[str]:
        """Keep each under the name that stands beside it; returns the names of those that could not be kept."""
        failed = set()
        for name, each in found:
            try:
                self._keep(each, self.clock.now_ms())
            except (*AWS_ERRORS, NotQueuedError) as error:
                log_error(logger, "fallback could not be kept", error, envelope=each.envelope.id)
                failed.add(name)
        return failed

    def _keep(self, each: Awaited, now: int) -> None:
        self.store.keep(each.envelope)
        if each.due_at is not None:
            self.queue.look(Look(look=each.envelope.id, due_at=each.due_at), now)
        if each.receipts:
            self.queue.wait(Waiting(since=now, tries=0, waiting=each.receipts), 0)
