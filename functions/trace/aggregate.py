"""Turns a batch of stream records into timeline events and exact counters.

Per batch: see to what was counted before and may not be kept (`keeping.py`); find which events are new; count the new
ones beyond the checkpoint in one transaction with the checkpoint, which notes them as not kept; then put all events,
and take the note away. The few events of a lone message are counted and put in one transaction, if none of them is
there yet (docs/adr/0031-a-lone-codes-requests.md). A crash between any two of these, a repeat of the batch or of a part
of it, a batch that is given up, or a second copy of an event anywhere leaves the counters equal to the timeline:

- what lies at or before the checkpoint is never counted again, though its events are put again;
- an event counts at its first place in the batch, so a copy of one that lies behind the checkpoint never counts;
- repeats of an event share a partition key and so a shard, whose batches come one after the other;
- nothing is counted as long as anything before it in the shard is counted and not kept.

What became of tries through accounts, by which routing shifts weight, is counted in the same transaction.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aws_lambda_powertools import Logger

from functions.trace.keeping import Books, Keeper
from functions.trace.known import Known
from functions.trace.parts import Found, Part, Sequenced, parts_of, read_sequenced
from functions.trace.veiling import Veiling, unveiled
from shared.aws.errors import AWS_ERRORS
from shared.aws.stream import StreamReader
from shared.base.logs import log_error
from shared.model.clock import Clock
from shared.model.events import StreamRecord
from shared.store.counters import MAX_ITEMS, CheckpointMovedError, CounterKey, Counters
from shared.store.timeline import EventKey, Timeline

logger = Logger(child=True)

DAY_S = 86_400
MAX_AT_ONCE = 10
"""Items of the timeline in one transaction with what they count. Each costs twice as many write units there, which
nobody notices of a lone message, and of a campaign everybody."""


class Aggregator:
    """Works on batches of one shard at a time.

    days_of: for how many days the events of a record are kept. veiled: takes out who is erased.
    """

    def __init__(
        self,
        timeline: Timeline,
        counters: Counters,
        clock: Clock,
        days_of: Callable[[StreamRecord], int],
        reader: StreamReader,
        veiled: Veiling = unveiled,
    ) -> None:
        self._timeline = timeline
        self._counters = counters
        self._clock = clock
        self._days_of = days_of
        self._veiled = veiled
        self._keeper = Keeper(timeline, counters, reader, self._ttl, veiled)
        self._known = Known()

    def run(self, event: dict[str, Any]) -> dict[str, Any]:
        """Work on one Kinesis batch; returns the partial batch response.

        A record that cannot be read is reported after all before it are done, so that it alone ends in the
        failure destination.
        """
        records: list[Sequenced] = []
        bad: str | None = None
        for raw in event["Records"]:
            sequence = raw["kinesis"]["sequenceNumber"]
            read = read_sequenced(sequence, base64.b64decode(raw["kinesis"]["data"]))
            if read is None:
                bad = sequence
                break
            records.append(read)
        if records:
            self._aggregate(_shard(event["Records"][0]), self._veiled(records))
        return {"batchItemFailures": [{"itemIdentifier": bad}] if bad else []}

    def _aggregate(self, shard: str, records: Sequence[Sequenced]) -> None:
        first = records[0].sequence
        books = self._known.take(shard, first)
        if books is not None:
            try:
                self._work(books, records)
            except CheckpointMovedError:
                logger.info("another process has worked on the shard", shard=shard)
            else:
                return
        self._work(self._keeper.open(shard, first), records)

    def _work(self, books: Books, records: Sequence[Sequenced]) -> None:
        done: list[EventKey] = []
        for part in parts_of(records, self._ttl):
            if not self._at_once(part, books):
                kept = self._count(part, books)
                books.count(part)
                fresh = [found.item for key, found in part.events.items() if key not in kept]
                self._keeper.put(books, [*fresh, *part.others.values()])
            done += part.events
        self._keeper.close(books)
        self._known.keep(books, done)

    def _at_once(self, part: Part, books: Books) -> bool:
        """Count and put a small part in one transaction, if all of it is new; whether that is done."""
        if not books.clean or part.first <= books.counted:
            return False
        fresh = [found for key, found in part.events.items() if not self._known.holds(key)]
        counts = _counts(fresh)
        items = len(fresh) + len(part.others)
        if items > MAX_AT_ONCE or items + len(counts) > MAX_ITEMS:
            return False
        puts = self._timeline.puts([found.item for found in fresh], part.others.values())
        try:
            self._counters.add(books.shard, books.counted, part.last, counts, clean=True, puts=puts)
        except CheckpointMovedError:
            raise
        except AWS_ERRORS as error:
            # Some of it is there already, or the timeline does not take it. If it is done and only the answer was lost,
            # the checkpoint has moved, and nothing is counted again.
            log_error(logger, "not counted and put at once", error)
            return False
        books.counted = books.at = part.last
        return True

    def _count(self, part: Part, books: Books) -> set[EventKey]:
        """Count what is new of a part, and move the checkpoint; returns which of its events are kept already."""
        checkpoint = books.counted
        beyond = [key for key, found in part.events.items() if found.sequence > checkpoint]
        kept = self._timeline.existing(beyond) if beyond else set()
        kept |= books.unkept.keys() & part.events.keys()
        counts = _counts(part.events[key] for key in beyond if key not in kept)
        if part.last > checkpoint:
            self._counters.add(
                books.shard, checkpoint, part.last, counts, first=part.first, aside=books.any_aside, clean=books.clean
            )
        return kept

    def _ttl(self, record: StreamRecord) -> int:
        """When the items of a record may go. What is deferred is kept until it is due, and then as long as the rest."""
        latest = max(((row.due_at or 0) for row in record.events), default=0)
        return max(self._clock.now_ms(), latest) // 1000 + self._days_of(record) * DAY_S


def _counts(events: Iterable[Found]) -> dict[CounterKey, Counter[str]]:
    counts: dict[CounterKey, Counter[str]] = defaultdict(Counter)
    for found in events:
        found.add_to(counts)
    return counts


def _shard(raw: dict[str, Any]) -> str:
    """The stream's name and the shard's, such as `mepush-events/shardId-000000000000`."""
    return f"{raw['eventSourceARN'].rpartition('/')[2]}/{raw['eventID'].partition(':')[0]}"
