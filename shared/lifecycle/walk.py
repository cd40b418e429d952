"""Walks along accepted messages: from requests to their root envelopes, and from closed ledgers to what carries on.

A message's address is in its envelope alone. The timeline and the ledgers say where it is; nothing here can send it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.lifecycle.lineage import Child, children, dead_letters, fallbacks
from shared.lifecycle.recall import stopped
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import Numbering, root_of, ulid_value
from shared.model.letters import redriven_id
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.ledger import Entry, Marks
from shared.store.timeline import EventKey, Timeline

UNBOUNDED_MS = 14 * 86_400_000
"""The time to live of what has none: after that no queue holds it any more (`infra/messaging.py`)."""


@dataclass(frozen=True, slots=True)
class Root:
    """The messages of a root envelope, or of one by which others fell back: it is the first of its messages too.

    tags: by recipient. header: what their accepted events say of all of them.
    """

    tenant: str
    id: str
    tags: Mapping[int, str]
    header: Mapping[str, Any]

    def message_id(self, i: int) -> str:
        """The id of a recipient's message."""
        return Numbering(root_of(self.id))(i) + self.tags[i]

    def key(self, i: int, stage: str, n: int) -> EventKey:
        """Where an event of a recipient is kept."""
        return f"{self.tenant}#{self.tags[i]}", f"{self.message_id(i)}#{stage}#{n}"

    def record(self, envelope_id: str, rows: list[EventRow]) -> StreamRecord:
        """A stream record as the dispatcher would have written it."""
        known = {name: self.header[name] for name in ("channel", "class", "template", "version", "request", "kind")}
        optional = {name: self.header.get(name) for name in ("run", "variant", "reference")}
        return StreamRecord(tenant=self.tenant, envelope=envelope_id, events=rows, **known, **optional)


@dataclass(frozen=True, slots=True)
class Leg:
    """An envelope on the way of some of a root's messages.

    due_at, expires_at: milliseconds since the epoch. attempt, generation, unsure, doubtful, waits: as in
    the envelope. retry: it came about by a retry. parked: it came about by a pause of its run, at due_at.
    """

    root: Root
    id: str
    recipients: Sequence[int]
    due_at: int
    expires_at: int
    attempt: int = 0
    generation: int = 0
    unsure: Mapping[int, str] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()
    retry: bool = False
    waits: int = 0
    parked: bool = False

    def child(self, child: Child) -> "Leg":
        """The leg of an envelope that carries on."""
        return replace(
            self,
            id=f"{self.id}/{child.suffix}",
            recipients=child.recipients,
            due_at=child.due_at or self.due_at,
            attempt=child.attempt,
            unsure=child.unsure,
            doubtful=child.doubtful,
            retry=child.suffix.startswith("r"),
            waits=child.waits,
            parked=child.parked,
        )

    def stopped(self, known: Iterable[EventRow], marks: Marks) -> list[EventRow]:
        """The rows of the envelope, as they are with those of its recalled recipients (see `recall.stopped`)."""
        tags = {i: self.root.tags[i] for i in self.recipients}
        return stopped(known, marks, tags, self.generation, {*self.doubtful, *self.unsure})

    def recalled(self, entry: Entry) -> list[EventRow]:
        """The rows of those whom a mark in an open ledger stops for certain: all but who is in flight just then."""
        in_flight = entry.in_flight()
        marks = {i: mark for i, mark in entry.recalled.items() if i not in in_flight}
        return [row for row in self.stopped(entry.rows, marks) if row.get("why") == Reason.RECALLED]


Closed = tuple[Leg, Sequence[EventRow]]
"""A leg and the rows of its closed ledger."""


def first_legs(timeline: Timeline, tenant: str, request_ids: Sequence[str]) -> tuple[list[Leg], list[Root]]:
    """The root envelopes of requests, as they were accepted, and those by which messages fell back; and those of which
    only the index knows so far.

    Raises: what the table raises.
    """
    found = [
        (id, each) for envelopes in timeline.accepted_of_many(tenant, request_ids) for id, each in envelopes.items()
    ]
    roots = [Root(tenant, id, _tags(id, each.ids), each.header) for id, each in found]
    firsts = [(root, min(root.tags)) for root in roots]
    asked = [(root, i) for root, i in firsts if not root.header]
    events = timeline.read([root.key(i, stage, 0) for root, i in asked for stage in (Stage.ACCEPTED, Stage.DEFERRED)])
    legs, untraced = [], []
    for root, i in firsts:
        header = root.header or events.get(root.key(i, Stage.ACCEPTED, 0))
        if header is None:
            untraced.append(root)
            continue
        deferred = events.get(root.key(i, Stage.DEFERRED, 0), header)
        due_at = deferred.get("until", header["at"])
        expires_at = header.get("expires_at", due_at + UNBOUNDED_MS)
        legs.append(Leg(replace(root, header=header), root.id, sorted(root.tags), due_at, expires_at))
    return legs, untraced


def next_legs(timeline: Timeline, closed: Sequence[Closed]) -> list[Leg]:
    """The envelopes that carry on from closed ones, and those by which their dead letters were sent anew.

    Those by which messages fell back are among the first legs, once they are told. Raises: what the table raises.
    """
    return [leg for each in closed for leg in _carried_on(*each)] + _redriven(timeline, closed)


def fallen_legs(closed: Sequence[Closed], known: Collection[str]) -> list[Leg]:
    """The envelopes by which messages of closed ones fell back, but for `known` ones, told or not."""
    legs = []
    for leg, rows in closed:
        by_i = {row["i"]: row for row in rows}
        for suffix, recipients in fallbacks(rows):
            id, fell = f"{leg.id}/{suffix}", by_i[recipients[0]]["fell"]
            if id not in known:
                header = {**leg.root.header, **{name: fell[name] for name in ("channel", "template", "version")}}
                root = Root(leg.root.tenant, id, {i: by_i[i]["fell"]["tag"] for i in recipients}, header)
                at = max(by_i[i]["at"] for i in recipients)
                legs.append(Leg(root, id, recipients, at, leg.expires_at))
    return legs


def _carried_on(leg: Leg, rows: Sequence[EventRow]) -> Iterator[Leg]:
    found = children(rows, leg.recipients, leg.attempt, leg.unsure, leg.doubtful, leg.waits)
    return (leg.child(child) for child in found)


def _redriven(timeline: Timeline, closed: Sequence[Closed]) -> list[Leg]:
    found = [
        (leg, f"{leg.id}/{suffix}", recipients)
        for leg, rows in closed
        for suffix, recipients in dead_letters(rows, leg.generation)
    ]
    in_doubt = {leg.id: {row["i"] for row in rows if row.get("maybe")} for leg, rows in closed}
    keys = [leg.root.key(recipients[0], Stage.REDRIVEN, leg.generation + 1) for leg, _, recipients in found]
    events = timeline.read(keys) if keys else {}
    legs = []
    for (leg, letter_id, recipients), key in zip(found, keys, strict=True):
        event = events.get(key)
        if event is not None:
            at = event["at"]
            id, generation = redriven_id(letter_id, leg.generation), leg.generation + 1
            expires_at = event.get("expires_at", at + UNBOUNDED_MS)
            doubtful = frozenset(i for i in recipients if i in in_doubt[leg.id])
            legs.append(Leg(leg.root, id, recipients, at, expires_at, generation=generation, doubtful=doubtful))
    return legs


def _tags(root: str, message_ids: Sequence[str]) -> dict[int, str]:
    base = root_of(root)
    first, length = ulid_value(base), len(base)
    return {ulid_value(message_id[:length]) - first: message_id[length:] for message_id in message_ids}
