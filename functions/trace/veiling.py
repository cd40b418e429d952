"""Keeps events of erased recipients without them: under another tag, and without what they tell of the person.

An event counts once, whichever of its two names it comes under: what the timeline still has under the recipient's own
is given the other one before anything is counted.
"""

from collections.abc import Callable, Iterable, Sequence

from functions.trace.parts import Sequenced
from shared.model.events import StreamRecord
from shared.model.ids import ULID_LENGTH
from shared.model.veils import Veil
from shared.policy.veiling import finder, veiled_record
from shared.store.kept_events import EventKey, event_key
from shared.store.timeline import Timeline
from shared.store.veiled_items import veiled_event
from shared.store.veils import VeilStore

Veiling = Callable[[Sequence[Sequenced]], Sequence[Sequenced]]
"""Records without those who are erased."""


class Veiler:
    """Takes erased recipients out of records. Raises: what the tables raise."""

    def __init__(self, veils: VeilStore, timeline: Timeline) -> None:
        self._veils = veils
        self._timeline = timeline

    def __call__(self, records: Sequence[Sequenced]) -> Sequence[Sequenced]:
        """The same records in the same order; those that name nobody who is erased are untouched."""
        return [self._veiled(each) for each in records]

    def _veiled(self, each: Sequenced) -> Sequenced:
        record = each.record
        veils = self._veils.of(record.tenant, record.envelope)
        changed = veiled_record(record, veils) if veils else record
        if changed is record:
            return each
        find = finder(veils, record.envelope[:ULID_LENGTH])
        self._rename(_events_of(record, find))
        return Sequenced(each.sequence, changed)

    def _rename(self, events: Iterable[tuple[EventKey, Veil]]) -> None:
        known = dict(events)
        found = self._timeline.items(list(known))
        self._timeline.rename({key: veiled_event(item, known[key]) for key, item in found.items()})


def _events_of(record: StreamRecord, find: Callable[[str], Veil | None]) -> Iterable[tuple[EventKey, Veil]]:
    for message_id, row in record.message_ids():
        if veil := find(row.tag):
            yield event_key(record.tenant, message_id, row), veil


def unveiled(records: Sequence[Sequenced]) -> Sequence[Sequenced]:
    """The records as they are."""
    return records
