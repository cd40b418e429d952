"""What follows from an envelope's recorded rows: events, retries, continuation, dead letters. Pure and repeatable.

Everything here is derived from the envelope and its rows alone, so a redelivered envelope repeats it with the same ids.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from shared.aws.queue import Dispatch
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.words import Stage


@dataclass(slots=True)
class Tail:
    """record: for the stream. dispatches: envelopes that carry on. dead: the envelope for the dead-letter queue."""

    record: StreamRecord
    dispatches: list[Dispatch] = field(default_factory=list)
    dead: Envelope | None = None


def tail(envelope: Envelope, rows: list[EventRow]) -> Tail:
    """What follows from `rows`; recipients without one are carried on by a continuation."""
    events = rows
    if envelope.attempt == 0 and "/" not in envelope.id:
        # Repeats cost nothing, and the accepting function may have failed to tell.
        events = accepted_rows(envelope) + rows
    result = Tail(record_of(envelope, events))
    by_i = {row["i"]: row for row in rows}
    left = [r for r in envelope.recipients if r["i"] not in by_i]
    if left:
        child = envelope.child("c1", left)
        result.dispatches.append(Dispatch(child, child.to_json()))
    result.dispatches += _retries(envelope, by_i)
    dead = [r for r in envelope.recipients if r["i"] in by_i and by_i[r["i"]]["s"] == Stage.DEAD_LETTERED]
    if dead:
        reasons = {r["i"]: (by_i[r["i"]].get("why", ""), by_i[r["i"]].get("code", "")) for r in dead}
        result.dead = envelope.child(f"d{envelope.generation}", dead, reasons=reasons)
    return result


def _retries(envelope: Envelope, by_i: dict[int, EventRow]) -> list[Dispatch]:
    """A child for each time at which recipients are due again; most often it is one."""
    due: dict[int, list[int]] = defaultdict(list)
    for i, row in by_i.items():
        if row["s"] == Stage.RETRYING:
            due[row["until"]].append(i)
    attempt = envelope.attempt + 1
    avoid = sorted({*envelope.avoid, *_down(by_i)})
    dispatches = []
    for k, until in enumerate(sorted(due)):
        wanted = set(due[until])
        recipients = [r for r in envelope.recipients if r["i"] in wanted]
        suffix = f"r{attempt}" if k == 0 else f"r{attempt}.{k}"
        unsure = {i: by_i[i]["acc"] for i in due[until] if by_i[i].get("unsure")}
        # Only what is asked again after a check goes on counting: a new try has all its checks before it.
        checks = envelope.checks + 1 if envelope.unsure else 0
        child = envelope.child(suffix, recipients, attempt=attempt, avoid=avoid, unsure=unsure, checks=checks)
        dispatches.append(Dispatch(child, child.to_json(), until))
    return dispatches


def _down(by_i: dict[int, EventRow]) -> set[str]:
    return {row["acc"] for row in by_i.values() if row.get("down") and "acc" in row}
