"""What follows from an envelope's recorded rows: events, retries, continuation, dead letters. Pure and repeatable.

Everything here is derived from the envelope and its rows alone, so a redelivered envelope repeats it with the same ids.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from shared.aws.queue import Dispatch
from shared.lifecycle.awaiting import Awaited, awaited
from shared.lifecycle.fallback import fallen
from shared.lifecycle.lineage import Child, children, fallbacks, place_key
from shared.model.address import mask
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow, Seal, StreamRecord, accepted_rows, record_of
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.fallback import expires_at
from shared.policy.simulation import receipts


class Tail(Struct):
    """What is to be sent and told."""

    record: StreamRecord
    """Of the envelope itself."""
    dispatches: list[Dispatch] = field(default_factory=list)
    """Envelopes that carry on, or take its place on another channel."""
    parked: list[Envelope] = field(default_factory=list)
    """Those that carry on once their run is not paused any more."""
    opened: list[StreamRecord] = field(default_factory=list)
    """Records of messages on another channel."""
    dead: Envelope | None = None
    """The envelope for the dead-letter queue."""
    awaited: Awaited | None = None
    """What is kept of those that were sent and may still fall back."""

    @property
    def records(self) -> list[StreamRecord]:
        """All that is for the stream."""
        return [self.record, *self.opened]


def tail(envelope: Envelope, rows: list[EventRow], seal: Seal | None = None) -> Tail:
    """What follows from `rows`; recipients without one are carried on by a continuation.

    seal: None where addresses are not kept.
    """
    simulated = receipts(rows)
    kept = awaited(envelope, rows, simulated)
    if kept is not None and kept.receipts:
        # They go the way of real ones, which decide on the fallback, and tell of them.
        waiting = {row.index for row in rows if row.awaits is not None}
        simulated = [row for row in simulated if row.index not in waiting]
    events = _named(envelope, rows + simulated)
    if envelope.opens:
        # Repeats cost nothing, and who queued it may have failed to tell.
        events = accepted_rows(envelope, seal) + events
    result = Tail(record_of(envelope, events), awaited=kept)
    by_i = {row.index: row for row in rows}
    everyone = [r.index for r in envelope.recipients]
    asked, in_doubt = envelope.ask_account, envelope.maybe_sent
    for child in children(rows, everyone, envelope.attempt, asked, in_doubt, envelope.times_put_off):
        carried = _carried(envelope, child, by_i)
        if child.parked:
            result.parked.append(carried)
        else:
            result.dispatches.append(Dispatch(carried, carried.to_json(), child.due_at))
    for suffix, recipients in fallbacks(rows):
        other = fallen(envelope, suffix, recipients, by_i)
        if other is not None:
            result.dispatches.append(Dispatch(other, other.to_json()))
            result.opened.append(record_of(other, accepted_rows(other, seal)))
    dead = [r for r in envelope.recipients if r.index in by_i and by_i[r.index].stage == Stage.DEAD_LETTERED]
    if dead:
        reasons = {r.index: _cause(by_i[r.index]) for r in dead}
        maybe_sent = [r.index for r in dead if by_i[r.index].maybe_sent]
        # Whoever is sent to anew has the whole time to live, and does not fall back any more.
        whole: dict[str, Any] = {"expires_at": envelope.ends_at, "fallback": []}
        result.dead = envelope.child(f"d{envelope.generation}", dead, reasons=reasons, maybe_sent=maybe_sent, **whole)
    return result


def _named(envelope: Envelope, rows: list[EventRow]) -> list[EventRow]:
    """Rows that say whom they are about: who hears of an event later, and of it alone, knows the message by that.

    Of the first record about a campaign's messages the accepted rows say it.
    """
    if envelope.run is not None and envelope.opens:
        return rows
    recipients = {r.index: r for r in envelope.recipients}
    return [_about(envelope, row, recipients[row.index]) if row.index in recipients else row for row in rows]


def _about(envelope: Envelope, row: EventRow, recipient: EnvelopeRecipient) -> EventRow:
    return replace(row, masked_address=mask(envelope.channel.value, recipient.address), reference=recipient.reference)


def _carried(envelope: Envelope, child: Child, by_i: dict[int, EventRow]) -> Envelope:
    """The envelope of a child."""
    wanted = set(child.recipients)
    recipients = [r for r in envelope.recipients if r.index in wanted]
    changes: dict[str, Any] = {
        "ask_account": dict(child.ask_account),
        "tried_between": _tried_between(envelope, child.ask_account, by_i),
        "maybe_sent": sorted(child.maybe_sent),
        "times_put_off": child.times_put_off,
    }
    if child.times_put_off > envelope.times_put_off:
        waiting = {i: by_i[i] for i in child.recipients}
        changes["avoid"] = sorted({*envelope.avoid, *_to_avoid(waiting)})
        # Who waits for a place has it already.
        places = [row for row in waiting.values() if row.place_at is not None]
        changes["places"] = {place_key(row.reason or "", row.account or ""): row.place_at for row in places}
        if any(row.reason == Reason.QUIET_HOURS for row in waiting.values()):
            changes["expires_at"] = _after_quiet(envelope, child)
    if child.attempt > envelope.attempt:
        # Only what is asked again after a check goes on counting: a new try has all its checks before it.
        times_asked = envelope.times_asked + 1 if envelope.ask_account else 0
        avoid = sorted({*envelope.avoid, *_to_avoid(by_i)})
        changes |= {"attempt": child.attempt, "avoid": avoid, "times_asked": times_asked}
    return envelope.child(child.suffix, recipients, **changes)


def _after_quiet(envelope: Envelope, child: Child) -> int | None:
    """When messages expire that were put off by quiet hours: what they have before they fall back begins anew."""
    if child.due_at is None or envelope.ends_at is None:
        return envelope.expires_at
    return expires_at(envelope.fallback, child.due_at, envelope.ends_at)


def _cause(row: EventRow) -> tuple[str, str, str]:
    return (row.reason or ""), (row.code or ""), (row.account or "")


def _tried_between(
    envelope: Envelope,
    asked: Iterable[int],
    by_i: Mapping[int, EventRow],
) -> tuple[int, int] | None:
    """The time within which all messages were tried of which it is unknown what became of them."""
    times = []
    for i in asked:
        if i in envelope.ask_account and envelope.tried_between is not None:
            # In this envelope it was only asked about, if that.
            times.append(envelope.tried_between)
        elif i in by_i and by_i[i].reason != Reason.INTERRUPTED:
            times.append((by_i[i].at - (by_i[i].took_ms or 0), by_i[i].at))
        elif i in by_i:
            # Nobody saw the try; the row is of the time when that was noticed.
            times.append((envelope.accepted_at, by_i[i].at))
    return (min(began for began, _ in times), max(ended for _, ended in times)) if times else None


def _to_avoid(by_i: dict[int, EventRow]) -> set[str]:
    """The accounts that were down, or failed in a way that another one may not."""
    rows = by_i.values()
    found = {row.account for row in rows if (row.account_down or row.avoid_account) and row.account is not None}
    return found | {account for row in rows for account, why, _ in row.passed_over if why != Reason.AVOIDED}
