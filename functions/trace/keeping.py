"""Keeps what was counted: first what is left of earlier batches, then a batch's own events.

The checkpoint's item says from which record on events are counted and not known to be kept. Usually the batch that
counted them comes again, and keeps them. If it was given up, the next batch of the shard, or the first one of a shard
that took its place, reads the records from the stream again, and only then counts anything: so the timeline knows
every event that was counted before, and a copy of one never counts.

Events that the timeline refuses while it takes others are set aside beside the counters, so that they hold up nothing.
They are tried again with every batch, and a copy of one never counts.
"""

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from itertools import chain

from aws_lambda_powertools import Logger

from functions.trace.parts import Part, parts_of, read_sequenced
from functions.trace.veiling import Veiling, unveiled
from shared.aws.stream import StreamReader
from shared.model.events import StreamRecord
from shared.store.counters import Counters, Progress
from shared.store.dynamo import Item, key_of
from shared.store.kept_events import EventKey
from shared.store.timeline import Timeline

logger = Logger(child=True)

MAX_ASIDE = 100
"""Events that are set aside at a time. When the timeline takes nothing, the stream holds what is to be kept."""


@dataclass(slots=True)
class Books:
    """How far a shard is."""

    shard: str
    counted: int
    """Up to which record."""
    unkept_from: int | None
    """From which record on events are counted and not known to be kept; None for none."""
    aside: bool
    """Events may have been set aside."""
    unkept: dict[EventKey, Item] = field(default_factory=dict)
    """Those that are."""
    at: int = -1

    @property
    def any_aside(self) -> bool:
        """Whether events are, or may have been, set aside."""
        return self.aside or bool(self.unkept)

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.shard.partition("/")[0]

    @property
    def clean(self) -> bool:
        """All that is counted is kept in the timeline."""
        return self.unkept_from is None and not self.any_aside

    def count(self, part: Part) -> None:
        """A part was counted, if it goes beyond what was."""
        if part.last > self.counted:
            self.counted, self.unkept_from = part.last, part.first
        self.at = part.last


class Keeper:
    """Keeps events. ttl_of: when the items of a record may go, in seconds since the epoch. veiled: takes out who is
    erased."""

    def __init__(
        self,
        timeline: Timeline,
        counters: Counters,
        reader: StreamReader,
        ttl_of: Callable[[StreamRecord], int],
        veiled: Veiling = unveiled,
    ) -> None:
        self._timeline = timeline
        self._counters = counters
        self._reader = reader
        self._ttl_of = ttl_of
        self._veiled = veiled

    def open(self, shard: str, first: int) -> Books:
        """Keep what was counted before the record `first`; returns how far the shard is.

        Raises: what the tables and the stream raise; then nothing beyond may be counted.
        """
        progress = self._counters.progress(shard)
        if progress.counted < 0:
            progress = Progress(-1, None, self._inherited(shard))
        books = Books(shard, progress.counted, progress.unkept_from, progress.aside)
        if books.unkept_from is not None and first > books.unkept_from:
            self._keep_again(books, books.unkept_from, min(books.counted, first - 1))
        if books.aside:
            self._try_aside(books)
        return books

    def kept(self, books: Books, part: Part, known: Set[EventKey] = frozenset()) -> set[EventKey]:
        """Which events of a part are in the timeline, or set aside.

        known: some that are. Openings and clicks that count beside others of their message are asked for with these.
        """
        asked = [key for key, found in part.events.items() if found.counter_keys]
        kept = self._timeline.existing(asked) if asked else set()
        return kept | ((known | books.unkept.keys()) & part.events.keys())

    def put(self, books: Books, items: Iterable[Item]) -> None:
        """Keep events, or set them aside. Raises: StoreError for too many; what the table of counters raises."""
        left = self._timeline.put(list(items), MAX_ASIDE - len(books.unkept))
        if left:
            logger.error("events set aside", shard=books.shard, events=len(left))
            self._counters.set_aside(books.stream, left)
            books.unkept |= {key_of(item): item for item in left}

    def close(self, books: Books) -> None:
        """Note how far all that is counted is kept. Raises: what the table of counters raises."""
        aside = bool(books.unkept)
        if books.unkept_from is not None or aside is not books.aside:
            # Of a part of the batch that counted, the last record is noted: the rest comes after it.
            left = books.at if books.unkept_from is not None and books.at < books.counted else None
            self._counters.note(books.shard, books.counted, left, aside)

    def _inherited(self, shard: str) -> bool:
        """Keep what the shards that this one takes the place of have counted; whether they have set events aside."""
        aside = False
        for parent in self._reader.parents(shard):
            progress = self._counters.progress(parent)
            if progress.counted < 0:
                aside |= self._inherited(parent)
            elif progress.unkept_from is not None:
                books = Books(parent, progress.counted, progress.unkept_from, progress.aside)
                self._keep_again(books, progress.unkept_from, progress.counted)
                aside |= bool(books.unkept)
            aside |= progress.aside
        return aside

    def _keep_again(self, books: Books, first: int, last: int) -> None:
        """Read records that were counted from the stream again, and keep their events."""
        logger.warning("what was counted is kept late", shard=books.shard)
        found = False
        for page in self._reader.pages(books.shard, first, last):
            found = True
            records = [one for each in page if (one := read_sequenced(each.sequence, each.data)) is not None]
            for part in parts_of(self._veiled(records), self._ttl_of):
                kept = self.kept(books, part)
                fresh = (found.item for key, found in part.events.items() if key not in kept)
                self.put(books, chain(fresh, part.others.values()))
        if not found:
            logger.error("events are lost: the stream has forgotten what was counted", shard=books.shard)

    def _try_aside(self, books: Books) -> None:
        """Try once more to keep what was set aside."""
        items = self._counters.aside(books.stream)
        left = {key_of(item): item for item in self._timeline.put(items, len(items))}
        self._counters.take_back(books.stream, [item for item in items if key_of(item) not in left])
        books.unkept |= left
