"""What is known of the openings and clicks of a batch's messages, so that each counts as what it is taken for now.

A later event may show that earlier ones were a machine's. So what a record adds to the counters is the difference
between what all events of its messages count as with it and without it, which may be less than nothing. That is exact
because whatever was counted before is kept before anything else is counted (`keeping.py`), and repeats of an event meet
in one shard.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shared.model.events import EventRow, StreamRecord
from shared.model.ids import ulid_time
from shared.policy.engagement import ENGAGED, MOST_KEPT, counted, revised
from shared.store.counters import HOUR_MS, CounterKey, Group, counter_keys
from shared.store.dynamo import Item
from shared.store.kept_events import EventKey, KeptEvent, event_key, kept_event, read_event
from shared.store.timeline import Timeline

Counts = dict[CounterKey, Counter[str]]
Message = tuple[str, str]
"""The tenant and the id of a message."""
Rows = Sequence[tuple[str, EventRow]]


class Taken(NamedTuple):
    """What becomes of the openings and clicks of a record."""

    events: set[EventKey]
    """Those that are kept."""
    added: Counts
    """To the counters."""
    revised: list[str]
    """The messages of which some that looked like a person's are a machine's."""


class Engaged:
    """Of one batch. It counts nothing of records up to the checkpoint."""

    def __init__(self, checkpoint: int) -> None:
        self._checkpoint = checkpoint
        self._events: dict[Message, dict[EventKey, KeptEvent]] = defaultdict(dict)
        self.any = False
        """Whether it has any."""
        self.kept: set[EventKey] = set()
        """Events that are in the timeline already, or set aside."""

    def load(self, timeline: Timeline, records: Iterable[StreamRecord], aside: dict[EventKey, Item]) -> None:
        """Read what is known of the messages of a batch. aside: events that are counted and not in the timeline.

        Raises: what the table raises.
        """
        messages = {
            (record.tenant, message_id)
            for record in records
            if any(row.stage in ENGAGED for row in record.events)
            for message_id, row in record.message_ids()
            if is_judged(row)
        }
        self.any = bool(messages)
        for (tenant, message_id), found in timeline.engagements(messages).items():
            self._events[tenant, message_id].update(found)
            self.kept |= found.keys()
        for key, item in aside.items() if messages else ():
            message = key[0].rpartition("#")[0], key[1].partition("#")[0]
            event = read_event(item["d"]["S"]) if message in messages else None
            if event is not None and event.stage in ENGAGED:
                self._events[message][key] = event
                self.kept.add(key)

    def take(self, sequence: int, record: StreamRecord, rows: Rows) -> Taken:
        """Take the openings and clicks of a record. rows: those that are judged."""
        taken: set[EventKey] = set()
        again: list[str] = []
        added: Counts = defaultdict(Counter)
        by_message: dict[str, list[EventRow]] = defaultdict(list)
        for message_id, row in rows:
            by_message[message_id].append(row)
        for message_id, some in by_message.items():
            known = self._events[record.tenant, message_id]
            before = list(known.values())
            for row in some:
                key = event_key(record.tenant, message_id, row)
                if key not in known and len(known) < MOST_KEPT:
                    known[key] = kept_event(record, row)
                if key in known:
                    taken.add(key)
            if revised(known.values()):
                again.append(message_id)
            if sequence > self._checkpoint and len(known) > len(before):
                _add(added, record.tenant, message_id, list(known.values()), 1)
                _add(added, record.tenant, message_id, before, -1)
        return Taken(taken, {key: found for key, names in added.items() if (found := _changed(names))}, again)


def is_judged(row: EventRow) -> bool:
    """Whether an event counts as what it is taken for beside others of its message."""
    return row.stage in ENGAGED and not row.anonymous


def _add(counts: Counts, tenant: str, message_id: str, events: list[KeptEvent], sign: int) -> None:
    hour = ulid_time(message_id) // HOUR_MS
    for event, name in counted(events):
        group = Group(event.version, event.account, event.run, event.variant)
        keys = counter_keys(tenant, event.template, hour, group)
        # What counts of a link counts by template alone.
        for key in keys[:1] if "/" in name else keys:
            counts[key][name] += sign


def _changed(names: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in names.items() if n})
