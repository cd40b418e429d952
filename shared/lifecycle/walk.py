"""Walks along accepted messages: from requests to their root envelopes, and from closed ledgers to what carries on.

A message's address is in its envelope alone. The timeline and the ledgers say where it is; nothing here can send it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed

from msgspec.structs import replace

from shared.lifecycle.lineage import LATE, Child, children, dead_letters, fallbacks, undelivered_suffix
from shared.lifecycle.recall import stopped
from shared.model.events import EventRow, FallenTo, StreamRecord
from shared.model.ids import Numbering, root_of, ulid_value
from shared.model.letters import redriven_id
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.awaiting import Decision, What
from shared.store.kept_events import EventKey, KeptEvent, record_like
from shared.store.ledger import Entry, Marks
from shared.store.timeline import Timeline

UNBOUNDED_MS = 14 * 86_400_000
"""The time to live of what has none: after that no queue holds it any more (`infra/messaging.py`)."""


@dataclass(frozen=True, slots=True)
class Root:
    """The messages of a root envelope, or of one by which others fell back: it is the first of its messages too."""

    tenant: str
    id: str
    tags: Mapping[int, str]
    """By recipient."""
    header: KeptEvent | None
    """What their accepted events say of all of them."""

    def message_id(self, i: int) -> str:
        """The id of a recipient's message."""
        return Numbering(root_of(self.id))(i) + self.tags[i]

    def key(self, i: int, stage: str, n: int) -> EventKey:
        """Where an event of a recipient is kept."""
        return f"{self.tenant}#{self.tags[i]}", f"{self.message_id(i)}#{stage}#{n}"

    @property
    def known(self) -> KeptEvent:
        """The header of messages that the timeline knows."""
        if self.header is None:
            raise LookupError(self.id)
        return self.header

    def record(self, envelope_id: str, rows: list[EventRow]) -> StreamRecord:
        """A stream record as the dispatcher would have written it."""
        return record_like(self.known, self.tenant, envelope_id, rows)


@dataclass(frozen=True, slots=True)
class Leg:
    """An envelope on the way of some of a root's messages."""

    root: Root
    id: str
    recipients: Sequence[int]
    due_at: int
    """`due_at` and `expires_at`: milliseconds since the epoch."""
    expires_at: int
    attempt: int = 0
    """`attempt`, `generation`, `ask_account`, `maybe_sent` and `times_put_off`: as in the envelope."""
    generation: int = 0
    ask_account: Mapping[int, str] = field(default_factory=dict)
    maybe_sent: frozenset[int] = frozenset()
    retry: bool = False
    """It came about by a retry."""
    times_put_off: int = 0
    parked: bool = False
    """It came about by a pause of its run, at due_at."""

    def child(self, child: Child) -> "Leg":
        """The leg of an envelope that carries on."""
        return changed(
            self,
            id=f"{self.id}/{child.suffix}",
            recipients=child.recipients,
            due_at=child.due_at or self.due_at,
            attempt=child.attempt,
            ask_account=child.ask_account,
            maybe_sent=child.maybe_sent,
            retry=child.suffix.startswith("r"),
            times_put_off=child.times_put_off,
            parked=child.parked,
        )

    def stopped(self, known: Iterable[EventRow], marks: Marks) -> list[EventRow]:
        """The rows of the envelope, as they are with those of its recalled recipients (see `recall.stopped`)."""
        tags = {i: self.root.tags[i] for i in self.recipients}
        return stopped(known, marks, tags, self.generation, {*self.maybe_sent, *self.ask_account})

    def recalled(self, entry: Entry) -> list[EventRow]:
        """The rows of those whom a mark in an open ledger stops for certain: all but who is in flight just then."""
        in_flight = entry.in_flight()
        marks = {i: mark for i, mark in entry.recalled.items() if i not in in_flight}
        return [row for row in self.stopped(entry.rows, marks) if row.reason == Reason.RECALLED]


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
    asked = [(root, i) for root, i in firsts if root.header is None]
    events = timeline.read([root.key(i, stage, 0) for root, i in asked for stage in (Stage.ACCEPTED, Stage.DEFERRED)])
    legs, untraced = [], []
    for root, i in firsts:
        header = root.header if root.header is not None else events.get(root.key(i, Stage.ACCEPTED, 0))
        if header is None:
            untraced.append(root)
            continue
        deferred = events.get(root.key(i, Stage.DEFERRED, 0), header)
        due_at = header.at if deferred.due_at is None else deferred.due_at
        expires_at = due_at + UNBOUNDED_MS if header.expires_at is None else header.expires_at
        legs.append(Leg(changed(root, header=header), root.id, sorted(root.tags), due_at, expires_at))
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
        by_i = {row.index: row for row in rows}
        for suffix, recipients in fallbacks(rows):
            fallen = {i: to for i in recipients if (to := by_i[i].fell_back_to) is not None}
            if f"{leg.id}/{suffix}" not in known:
                legs.append(_other(leg, suffix, fallen, max(by_i[i].at for i in recipients)))
    return legs


def awaited_legs(
    leg: Leg, waiting: Mapping[int, FallenTo], decided: Mapping[int, Decision], known: Collection[str]
) -> list[Leg]:
    """The envelopes that took the place of messages which were sent, but for `known` ones, told or not.

    waiting: the messages that may. decided: what is decided of them.
    """
    late = [i for i in waiting if decided[i].what is What.LATE]
    groups = [(LATE, late)] if late else []
    groups += [(undelivered_suffix(i), [i]) for i in waiting if decided[i].what is What.UNDELIVERED]
    return [
        _other(leg, suffix, {i: waiting[i] for i in some}, max(decided[i].at for i in some))
        for suffix, some in groups
        if f"{leg.id}/{suffix}" not in known
    ]


def _other(leg: Leg, suffix: str, fallen: Mapping[int, FallenTo], at: int) -> Leg:
    """The leg by which messages of another one fell back."""
    id, to = f"{leg.id}/{suffix}", next(iter(fallen.values()))
    header = replace(leg.root.known, channel=to.channel, template=to.template, version=to.version)
    root = Root(leg.root.tenant, id, {i: each.tag for i, each in fallen.items()}, header)
    return Leg(root, id, sorted(fallen), at, leg.expires_at)


def _carried_on(leg: Leg, rows: Sequence[EventRow]) -> Iterator[Leg]:
    found = children(rows, leg.recipients, leg.attempt, leg.ask_account, leg.maybe_sent, leg.times_put_off)
    return (leg.child(child) for child in found)


def _redriven(timeline: Timeline, closed: Sequence[Closed]) -> list[Leg]:
    found = [
        (leg, f"{leg.id}/{suffix}", recipients)
        for leg, rows in closed
        for suffix, recipients in dead_letters(rows, leg.generation)
    ]
    in_doubt = {leg.id: {row.index for row in rows if row.maybe_sent} for leg, rows in closed}
    keys = [leg.root.key(recipients[0], Stage.REDRIVEN, leg.generation + 1) for leg, _, recipients in found]
    events = timeline.read(keys) if keys else {}
    legs = []
    for (leg, letter_id, recipients), key in zip(found, keys, strict=True):
        event = events.get(key)
        if event is not None:
            at = event.at
            id, generation = redriven_id(letter_id, leg.generation), leg.generation + 1
            expires_at = at + UNBOUNDED_MS if event.expires_at is None else event.expires_at
            maybe_sent = frozenset(i for i in recipients if i in in_doubt[leg.id])
            legs.append(Leg(leg.root, id, recipients, at, expires_at, generation=generation, maybe_sent=maybe_sent))
    return legs


def _tags(root: str, message_ids: Sequence[str]) -> dict[int, str]:
    base = root_of(root)
    first, length = ulid_value(base), len(base)
    return {ulid_value(message_id[:length]) - first: message_id[length:] for message_id in message_ids}
