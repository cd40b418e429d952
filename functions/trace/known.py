"""What this process knows without asking: how far it has come in each shard, and events that are kept.

It holds while nobody else works on the shard. Whoever counts has the table confirm it (`Counters.add`): if it is wrong,
it is forgotten, and asked for.
"""

from collections.abc import Iterable
from itertools import islice

from functions.trace.keeping import Books
from shared.store.kept_events import EventKey

MAX_EVENTS = 5_000
"""Some two megabytes. What dispatch states again comes seconds after what acceptance stated."""
MAX_SHARDS = 100


class Known:
    """Not thread-safe: a process works on one batch at a time."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._events: dict[EventKey, None] = {}

    def take(self, shard: str, first: int) -> Books | None:
        """How far a shard is, if that is known and the record `first` comes after it; it is forgotten until `keep`."""
        counted = self._counted.pop(shard, None)
        return None if counted is None or first <= counted else Books(shard, counted, None, aside=False)

    def holds(self, key: EventKey) -> bool:
        """Whether an event is known to be counted and kept."""
        return key in self._events

    def keep(self, books: Books, events: Iterable[EventKey]) -> None:
        """A batch is done with. events: all of it, counted and kept unless some of the shard's are not."""
        if books.unkept or books.at < books.counted:
            return
        if len(self._counted) >= MAX_SHARDS:
            self._counted.clear()
        self._counted[books.shard] = books.counted
        self._events.update(dict.fromkeys(events))
        for oldest in list(islice(self._events, max(0, len(self._events) - MAX_EVENTS))):
            del self._events[oldest]
