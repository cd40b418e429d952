"""What follows from an envelope's recorded rows: events, retries, continuation, dead letters. Pure and repeatable.

Everything here is derived from the envelope and its rows alone, so a redelivered envelope repeats it with the same ids.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.aws.queue import Dispatch
from shared.lifecycle.fallback import fallen
from shared.lifecycle.lineage import Child, children, fallbacks, place_key
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.fallback import expires_at
from shared.policy.simulation import receipts


@dataclass(slots=True)
class Tail:
    """What is to be sent and told. record: of the envelope itself. dispatches: envelopes that carry on, or take its
    place on another channel. parked: those that carry on once their run is not paused any more. opened: records of
    messages on another channel. dead: the envelope for the dead-letter queue."""

    record: StreamRecord
    dispatches: list[Dispatch] = field(default_factory=list)
    parked: list[Envelope] = field(default_factory=list)
    opened: list[StreamRecord] = field(default_factory=list)
    dead: Envelope | None = None

    @property
    def records(self) -> list[StreamRecord]:
        """All that is for the stream."""
        return [self.record, *self.opened]


def tail(envelope: Envelope, rows: list[EventRow]) -> Tail:
    """What follows from `rows`; recipients without one are carried on by a continuation."""
    events = rows + receipts(rows)
    if envelope.opens:
        # Repeats cost nothing, and who queued it may have failed to tell.
        events = accepted_rows(envelope) + events
    result = Tail(record_of(envelope, events))
    by_i = {row["i"]: row for row in rows}
    everyone = [r["i"] for r in envelope.recipients]
    for child in children(rows, everyone, envelope.attempt, envelope.unsure, envelope.doubtful, envelope.waits):
        carried = _carried(envelope, child, by_i)
        if child.parked:
            result.parked.append(carried)
        else:
            result.dispatches.append(Dispatch(carried, carried.to_json(), child.due_at))
    for suffix, recipients in fallbacks(rows):
        other = fallen(envelope, suffix, recipients, by_i)
        if other is not None:
            result.dispatches.append(Dispatch(other, other.to_json()))
            result.opened.append(record_of(other, accepted_rows(other)))
    dead = [r for r in envelope.recipients if r["i"] in by_i and by_i[r["i"]]["s"] == Stage.DEAD_LETTERED]
    if dead:
        reasons = {r["i"]: _cause(by_i[r["i"]]) for r in dead}
        doubtful = [r["i"] for r in dead if by_i[r["i"]].get("maybe")]
        # Whoever is sent to anew has the whole time to live, and does not fall back any more.
        whole: dict[str, Any] = {"expires_at": envelope.ends_at, "fallback": []}
        result.dead = envelope.child(f"d{envelope.generation}", dead, reasons=reasons, doubtful=doubtful, **whole)
    return result


def _carried(envelope: Envelope, child: Child, by_i: dict[int, EventRow]) -> Envelope:
    """The envelope of a child."""
    wanted = set(child.recipients)
    recipients = [r for r in envelope.recipients if r["i"] in wanted]
    changes: dict[str, Any] = {"unsure": dict(child.unsure), "tried": _tried(envelope, child.unsure, by_i)}
    changes |= {"doubtful": sorted(child.doubtful), "waits": child.waits}
    if child.waits > envelope.waits:
        waiting = {i: by_i[i] for i in child.recipients}
        changes["avoid"] = sorted({*envelope.avoid, *_to_avoid(waiting)})
        # Who waits for a place has it already.
        places = [row for row in waiting.values() if "slot" in row]
        changes["slots"] = {place_key(row["why"], row["acc"]): row["slot"] for row in places}
        if any(row["why"] == Reason.QUIET_HOURS for row in waiting.values()):
            changes["expires_at"] = _after_quiet(envelope, child)
    if child.attempt > envelope.attempt:
        # Only what is asked again after a check goes on counting: a new try has all its checks before it.
        checks = envelope.checks + 1 if envelope.unsure else 0
        avoid = sorted({*envelope.avoid, *_to_avoid(by_i)})
        changes |= {"attempt": child.attempt, "avoid": avoid, "checks": checks}
    return envelope.child(child.suffix, recipients, **changes)


def _after_quiet(envelope: Envelope, child: Child) -> int | None:
    """When messages expire that were put off by quiet hours: what they have before they fall back begins anew."""
    if child.due_at is None or envelope.ends_at is None:
        return envelope.expires_at
    return expires_at(envelope.fallback, child.due_at, envelope.ends_at)


def _cause(row: EventRow) -> tuple[str, str, str]:
    return row.get("why", ""), row.get("code", ""), row.get("acc", "")


def _tried(envelope: Envelope, unsure: Iterable[int], by_i: Mapping[int, EventRow]) -> tuple[int, int] | None:
    """The time within which all messages were tried of which it is unknown what became of them."""
    times = []
    for i in unsure:
        if i in envelope.unsure and envelope.tried is not None:
            # In this envelope it was only asked about, if that.
            times.append(envelope.tried)
        elif i in by_i and by_i[i].get("why") != Reason.INTERRUPTED:
            times.append((by_i[i]["at"] - by_i[i].get("ms", 0), by_i[i]["at"]))
        elif i in by_i:
            # Nobody saw the try; the row is of the time when that was noticed.
            times.append((envelope.accepted_at, by_i[i]["at"]))
    return (min(began for began, _ in times), max(ended for _, ended in times)) if times else None


def _to_avoid(by_i: dict[int, EventRow]) -> set[str]:
    """The accounts that were down, or failed in a way that another one may not."""
    rows = by_i.values()
    found = {row["acc"] for row in rows if (row.get("down") or row.get("avoid")) and "acc" in row}
    return found | {account for row in rows for account, why, _ in row.get("over", ()) if why != Reason.AVOIDED}
