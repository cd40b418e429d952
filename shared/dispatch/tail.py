"""What follows from an envelope's recorded rows: events, retries, continuation, dead letters. Pure and repeatable.

Everything here is derived from the envelope and its rows alone, so a redelivered envelope repeats it with the same ids.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.aws.queue import Dispatch
from shared.dispatch.lineage import Child, children
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.simulation import receipts


@dataclass(slots=True)
class Tail:
    """record: for the stream. dispatches: envelopes that carry on. dead: the envelope for the dead-letter queue."""

    record: StreamRecord
    dispatches: list[Dispatch] = field(default_factory=list)
    dead: Envelope | None = None


def tail(envelope: Envelope, rows: list[EventRow]) -> Tail:
    """What follows from `rows`; recipients without one are carried on by a continuation."""
    events = rows + receipts(rows)
    if envelope.attempt == 0 and "/" not in envelope.id:
        # Repeats cost nothing, and the accepting function may have failed to tell.
        events = accepted_rows(envelope) + events
    result = Tail(record_of(envelope, events))
    by_i = {row["i"]: row for row in rows}
    everyone = [r["i"] for r in envelope.recipients]
    for child in children(rows, everyone, envelope.attempt, envelope.unsure, envelope.doubtful):
        carried = _carried(envelope, child, by_i)
        result.dispatches.append(Dispatch(carried, carried.to_json(), child.due_at))
    dead = [r for r in envelope.recipients if r["i"] in by_i and by_i[r["i"]]["s"] == Stage.DEAD_LETTERED]
    if dead:
        reasons = {r["i"]: _cause(by_i[r["i"]]) for r in dead}
        doubtful = [r["i"] for r in dead if by_i[r["i"]].get("maybe")]
        result.dead = envelope.child(f"d{envelope.generation}", dead, reasons=reasons, doubtful=doubtful)
    return result


def _carried(envelope: Envelope, child: Child, by_i: dict[int, EventRow]) -> Envelope:
    """The envelope of a child."""
    wanted = set(child.recipients)
    recipients = [r for r in envelope.recipients if r["i"] in wanted]
    changes: dict[str, Any] = {"unsure": dict(child.unsure), "tried": _tried(envelope, child.unsure, by_i)}
    changes["doubtful"] = sorted(child.doubtful)
    if child.attempt > envelope.attempt:
        # Only what is asked again after a check goes on counting: a new try has all its checks before it.
        checks = envelope.checks + 1 if envelope.unsure else 0
        avoid = sorted({*envelope.avoid, *_down(by_i)})
        changes |= {"attempt": child.attempt, "avoid": avoid, "checks": checks}
    return envelope.child(child.suffix, recipients, **changes)


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


def _down(by_i: dict[int, EventRow]) -> set[str]:
    return {row["acc"] for row in by_i.values() if row.get("down") and "acc" in row}
