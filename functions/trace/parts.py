"""From the records of a stream to events, as parts that one transaction can count.

That the messages of a campaign are accepted is one item for all of an envelope, and that item decides whether they
count: expansion and the envelope's dispatch state all of them. What dispatch says of a message carries it along in that
event's item. So a message of a campaign takes one item where others take two.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from aws_lambda_powertools import Logger

from functions.trace.engaged import Engaged, is_judged
from functions.trace.live import Codes, Where
from shared.model.events import EventRow, StreamRecord, read_record
from shared.model.ids import Numbering, root_of, ulid_time
from shared.model.wire import UnreadableError
from shared.model.words import OUTCOMES, KeyKind, Stage
from shared.policy import conversion
from shared.policy.engagement import link_name
from shared.policy.latency import latency_name, latency_of
from shared.policy.routing import BUCKET_MS, counts_of
from shared.store.counters import (
    HOUR_MS,
    MAX_ITEMS,
    CounterKey,
    Group,
    code_name,
    conversion_scope,
    counted_as,
    counter_keys,
    health_scope,
    place,
    reason_name,
    run_scope,
)
from shared.store.dynamo import Item
from shared.store.kept_events import (
    EventKey,
    event_item,
    event_key,
    hour_item,
    provider_item,
    reference_items,
    request_item,
    revised_item,
)

logger = Logger(child=True)

MAX_HEALTH_KEYS = 60
"""Of a record, so that whatever it says fits one transaction; health beyond that is not counted."""

_WITH_REASON = OUTCOMES | {Stage.UNDELIVERED, Stage.FELL_BACK}
"""Stages that are told apart by reasons too."""

Names = list[tuple[CounterKey, tuple[str, ...]]]
"""What an event says besides its stage, of accounts or of a run: where it counts, and what."""
Named = Sequence[tuple[str, EventRow]]
"""A record's events, each with its message's id."""


@dataclass(frozen=True, slots=True)
class Sequenced:
    """A record and its place in the shard. Sequence numbers are compared as integers: as text, 9 comes after 10."""

    sequence: int
    record: StreamRecord


@dataclass(slots=True)
class Found:
    """A distinct event of a part: its first place, what it counts in, and its item."""

    sequence: int
    name: str
    """By which it counts."""
    counter_keys: list[CounterKey]
    item: Item
    more: Names
    """Other names that it counts by."""
    messages: int = 1
    """Of how many it is."""
    where: Where | None = None
    """Where metrics count it; None for messages of test keys, which nobody is called for."""
    took_ms: int | None = None
    """How long its message took to this stage, where that is counted."""
    code: Codes | None = None
    """Where metrics count it as that of a code, if it is."""

    def add_to(self, counts: dict[CounterKey, Counter[str]]) -> None:
        """Count the event."""
        for key in self.counter_keys:
            counts[key][self.name] += self.messages
        for key, names in self.more:
            counts[key].update(names)


@dataclass(slots=True)
class Part:
    """As many records as one transaction can count: from the sequence number `first` to `last`."""

    first: int = -1
    last: int = -1
    events: dict[EventKey, Found] = field(default_factory=dict)
    others: dict[EventKey, Item] = field(default_factory=dict)
    """Items that are not events."""
    counter_keys: set[CounterKey] = field(default_factory=set)
    engaged: dict[CounterKey, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """What its openings and clicks add to the counters, beside what events count by themselves."""


def read_sequenced(sequence: str, data: bytes) -> Sequenced | None:
    """Read a record; None if it cannot be read."""
    try:
        record = read_record(data)
    except UnreadableError:
        logger.error("record cannot be read", sequence_number=sequence)
        return None
    return Sequenced(int(sequence), record)


def parts_of(
    records: Iterable[Sequenced], ttl_of: Callable[[StreamRecord], int], engaged: Engaged | None = None
) -> Iterator[Part]:
    """Cut a batch where the counters of one transaction are full; a record is never cut.

    engaged: what is known of the messages' openings and clicks; None where nothing is counted.
    """
    part = Part()
    for sequenced in records:
        ttl = ttl_of(sequenced.record)
        named = list(sequenced.record.message_ids())
        events = _events(sequenced, named, ttl)
        added, others = _judge(engaged, sequenced, named, events, ttl)
        # Most events of a record count in the same places.
        places = {id(found.counter_keys): found.counter_keys for found in events.values()}
        keys = {key for counter_keys in places.values() for key in counter_keys}
        keys |= {key for found in events.values() for key, _ in found.more} | added.keys()
        if part.events and len(part.counter_keys | keys) > MAX_ITEMS:
            yield part
            part = Part()
        part.first = sequenced.sequence if part.first < 0 else part.first
        part.last = sequenced.sequence
        part.counter_keys |= keys
        for key, found in events.items():
            part.events.setdefault(key, found)
        for counter_key, names in added.items():
            for name, count in names.items():
                part.engaged[counter_key][name] += count
        for item in [*_other_items(sequenced.record, named, ttl), *others]:
            part.others[item["pk"]["S"], item["sk"]["S"]] = item
    if part.last >= 0:
        yield part


def _events(sequenced: Sequenced, named: Named, ttl: int) -> dict[EventKey, Found]:
    record = sequenced.record
    # The ids of a record's messages are counted from one base, which has their time.
    accepted_at = ulid_time(record.envelope)
    hour = accepted_at // HOUR_MS
    events: dict[EventKey, Found] = {}
    by_account: dict[str | None, tuple[list[CounterKey], Where | None]] = {}
    health_keys: set[CounterKey] = set()
    opened = _opened(record)
    if opened:
        events |= _accepted(sequenced, list(opened.values()), ttl)
    for message_id, row in named:
        key = event_key(record.tenant, message_id, row)
        if key in events or (row.stage == Stage.ACCEPTED and opened):
            continue
        account = row.account
        places = by_account.get(account)
        if places is None:
            places = by_account[account] = _places(record, account, hour)
        keys, where = places
        name = counted_as(row)
        more = _health(record, row, health_keys) + _conversion(record, row, health_keys)
        # The last one is the account's own, if there is any.
        told_apart = keys[:1] if account is None else (keys[0], keys[-1])
        code = _code(record, row)
        if row.reason is not None and row.stage in _WITH_REASON:
            reason = (reason_name(name, row.reason),)
            more += [(key, reason) for key in told_apart]
            if record.run is not None:
                more.append(((run_scope(record.tenant, record.run), place(hour)), reason))
        if is_code(row):
            more += [(key, (code_name(row.stage, row.country),)) for key in told_apart]
        if row.anonymous and row.link is not None:
            more.append((keys[0], (link_name(name, row.link),)))
        latency = latency_of(row, accepted_at)
        if latency is not None:
            took = (latency_name(row.stage, latency),)
            more += [(key, took) for key in told_apart]
        item = event_item(key, record, row, ttl, opened.get(row.index))
        events[key] = Found(sequenced.sequence, name, keys, item, more, 1, where, latency, code)
    return events


def _judge(
    engaged: Engaged | None, sequenced: Sequenced, named: Named, events: dict[EventKey, Found], ttl: int
) -> tuple[dict[CounterKey, Counter[str]], list[Item]]:
    """(what the openings and clicks of a record add to the counters, notes on messages). They count nothing by
    themselves then, and those beyond what is kept of a message are taken out."""
    tenant = sequenced.record.tenant
    if engaged is None or not engaged.any:
        return {}, []
    rows = [(message_id, row) for message_id, row in named if is_judged(row)]
    taken = engaged.take(sequenced.sequence, sequenced.record, rows)
    for message_id, row in rows:
        key = event_key(tenant, message_id, row)
        if key not in taken.events:
            events.pop(key, None)
        elif key in events:
            events[key].counter_keys, events[key].more = [], []
    return taken.added, [revised_item(tenant, message_id, ttl) for message_id in taken.revised]


def _places(record: StreamRecord, account: str | None, hour: int) -> tuple[list[CounterKey], Where | None]:
    """Where events of a record count that name an account, or none: in counters, and in metrics."""
    group = Group(record.version, account, record.run, record.variant)
    return counter_keys(record.tenant, record.template, hour, group), _where(record, account)


def _where(record: StreamRecord, account: str | None) -> Where | None:
    if record.kind is KeyKind.TEST:
        return None
    named = None if account is None else f"{record.tenant}/{account}"
    return Where(record.channel.value, record.message_class.value, named)


def _opened(record: StreamRecord) -> dict[int, EventRow]:
    """The accepted events of a record of a campaign, by recipient."""
    return {} if record.run is None else {row.index: row for row in record.events if row.stage == Stage.ACCEPTED}


def _accepted(sequenced: Sequenced, rows: Sequence[EventRow], ttl: int) -> dict[EventKey, Found]:
    """One event for all messages of an envelope: expansion and the envelope's dispatch state the same ones."""
    record = sequenced.record
    keys, where = _places(record, None, ulid_time(record.envelope) // HOUR_MS)
    number = Numbering(root_of(record.envelope))
    ids = [number(row.index) + row.tag for row in rows]
    item = request_item(record, ids, f"{record.envelope}#{Stage.ACCEPTED}", ttl, rows[0])
    key = item["pk"]["S"], item["sk"]["S"]
    return {key: Found(sequenced.sequence, Stage.ACCEPTED, keys, item, [], len(ids), where)}


def _health(record: StreamRecord, row: EventRow, keys: set[CounterKey]) -> Names:
    """What an event says of accounts. keys: of the record so far."""
    found: Names = []
    if record.kind is not KeyKind.TEST:
        for account, names in counts_of(row):
            key = (health_scope(record.tenant, account), place(row.at // BUCKET_MS))
            if key in keys or len(keys) < MAX_HEALTH_KEYS:
                keys.add(key)
                found.append((key, names))
    return found


def _conversion(record: StreamRecord, row: EventRow, keys: set[CounterKey]) -> Names:
    """What an event says of the account that a code went through, where there are several to compare. keys: of the
    record so far, with those of health."""
    if record.kind is KeyKind.TEST or row.country is None or row.share is None or not is_code(row):
        return []
    key = (conversion_scope(record.tenant, row.country), place((row.code_until or 0) // conversion.BUCKET_MS))
    if key not in keys and len(keys) >= MAX_HEALTH_KEYS:
        return []
    keys.add(key)
    return [(key, (conversion.name_of(row.stage, record.template, row.account or ""),))]


def _code(record: StreamRecord, row: EventRow) -> Codes | None:
    if record.kind is KeyKind.TEST or row.country is None or row.provider is None or not is_code(row):
        return None
    return Codes(row.country, row.provider)


def is_code(row: EventRow) -> bool:
    """Whether an event says that a verification was sent, or given back."""
    return row.code_until is not None and row.stage in (Stage.SENT, Stage.VERIFIED)


def _other_items(record: StreamRecord, named: Named, ttl: int) -> list[Item]:
    """Items that count nothing: by which a request and its hour are found, from the records that name all recipients of
    an envelope which is the first of its messages: a root, or one by which others fell back. And see `_left_items`."""
    items = []
    for stage in (Stage.ACCEPTED, Stage.REJECTED):
        of_stage = [(message_id, row) for message_id, row in named if row.stage == stage]
        if of_stage:
            if record.run is None:
                ids = [message_id for message_id, _ in of_stage]
                items.append(request_item(record, ids, f"{record.envelope}#{stage}", ttl))
                items += reference_items(record, of_stage, ttl)
            if stage is Stage.ACCEPTED:
                items.append(hour_item(record, ttl))
    items += [provider_item(record, id, row, ttl) for id, row in named if row.indexed]
    return items if record.run is None else items + _left_items(record, named, ttl)


def _left_items(record: StreamRecord, named: Named, ttl: int) -> list[Item]:
    """The accepted events of messages of a campaign of which dispatch has nothing else to tell yet, such as those for
    which it had no time left: later records do not name their addresses."""
    told = {row.index for row in record.events if row.stage != Stage.ACCEPTED}
    return [
        event_item(event_key(record.tenant, message_id, row), record, row, ttl)
        for message_id, row in named
        if row.stage == Stage.ACCEPTED and row.masked_address is not None and row.index not in told
    ]
