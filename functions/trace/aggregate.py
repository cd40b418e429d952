"""Turns a batch of stream records into timeline events and exact counters.

Per batch: see to what was counted before and may not be kept (`keeping.py`); find which events are new; count the new
ones beyond the checkpoint in one transaction with the checkpoint, which notes them as not kept; then put all events,
and take the note away. The few events of a lone message are counted and put in one transaction, if none of them is
there yet (docs/adr/0031-a-lone-codes-requests.md). A crash between any two of these, a repeat of the batch or of a part
of it, a batch that is given up, or a second copy of an event anywhere leaves the counters equal to the timeline:

- what lies at or before the checkpoint is never counted again, though those of its events are put that are not there;
- an event that is there is not put again: a copy may say other things, and what counts is what the first one said;
- an event counts at its first place in the batch, so a copy of one that lies behind the checkpoint never counts;
- repeats of an event share a partition key and so a shard, whose batches come one after the other;
- nothing is counted as long as anything before it in the shard is counted and not kept.

What became of tries through accounts, by which routing shifts weight, is counted in the same transaction.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from aws_lambda_powertools import Logger

from functions.trace.engaged import Engaged
from functions.trace.keeping import Books, Keeper
from functions.trace.known import Known
from functions.trace.live import Live
from functions.trace.parts import Found, Part, Sequenced, parts_of, read_sequenced
from functions.trace.veiling import Veiling, unveiled
from shared.aws.errors import AWS_ERRORS
from shared.aws.stream import StreamReader
from shared.base.logs import log_error
from shared.model.clock import Clock
from shared.model.events import StreamRecord
from shared.store.counters import MAX_ITEMS, CheckpointMovedError, CounterKey, Counters
from shared.store.kept_events import EventKey
from shared.store.timeline import Timeline

logger = Logger(child=True)

DAY_S = 86_400
MAX_AT_ONCE = 10
"""Items of the timeline in one transaction with what they count. Each costs twice as many write units there, which
nobody notices of a lone message, and of a campaign everybody."""

ANONYMOUS_S = 15 * 86_400
"""How long anonymous openings and clicks are kept: longer than anything repeats them."""


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
        live: Live,
        veiled: Veiling = unveiled,
    ) -> None:
        self._timeline = timeline
        self._counters = counters
        self._clock = clock
        self._days_of = days_of
        self._veiled = veiled
        self._keeper = Keeper(timeline, counters, reader, self._ttl, veiled)
        self._known = Known()
        self._live = live

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
            try:
                self._aggregate(_shard(event["Records"][0]), self._veiled(records))
            finally:
                # Whatever breaks off, what was counted is not counted again.
                self._live.tell()
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
        engaged = Engaged(books.counted)
        engaged.load(self._timeline, (each.record for each in records), books.unkept)
        for part in parts_of(records, self._ttl, engaged):
            if not self._at_once(part, books, engaged.kept):
                kept = self._count(part, books, engaged.kept)
                books.count(part)
                fresh = [found.item for key, found in part.events.items() if key not in kept]
                self._keeper.put(books, [*fresh, *part.others.values()])
            done += part.events
        self._keeper.close(books)
        self._known.keep(books, done)

    def _at_once(self, part: Part, books: Books, kept: Set[EventKey]) -> bool:
        """Count and put a small part in one transaction, if all of it is new; whether that is done.

        kept: events that are known to be there.
        """
        if not books.clean or part.first <= books.counted:
            return False
        fresh = [found for key, found in part.events.items() if key not in kept and not self._known.holds(key)]
        counts = _counts(fresh, part.engaged)
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
        self._live.add(fresh)
        return True

    def _count(self, part: Part, books: Books, known: Set[EventKey]) -> set[EventKey]:
        """Count what is new of a part, and move the checkpoint; returns which of its events are kept already.

        known: some that are.
        """
        checkpoint = books.counted
        beyond = [key for key, found in part.events.items() if found.sequence > checkpoint]
        kept = self._keeper.kept(books, part, known)
        fresh = [part.events[key] for key in beyond if key not in kept]
        if part.last > checkpoint:
            self._counters.add(
                books.shard,
                checkpoint,
                part.last,
                _counts(fresh, part.engaged),
                first=part.first,
                aside=books.any_aside,
                clean=books.clean,
            )
            self._live.add(fresh)
        return kept

    def _ttl(self, record: StreamRecord) -> int:
        """When the items of a record may go. What is deferred is kept until it is due, and then as long as the rest."""
        if any(row.anonymous for row in record.events):
            # Nobody looks at these: they are there so that a repeat does not count.
            return self._clock.now_ms() // 1000 + min(self._days_of(record) * DAY_S, ANONYMOUS_S)
        latest = max(((row.due_at or 0) for row in record.events), default=0)
        return max(self._clock.now_ms(), latest) // 1000 + self._days_of(record) * DAY_S


def _counts(events: Iterable[Found], engaged: Mapping[CounterKey, Counter[str]]) -> dict[CounterKey, Counter[str]]:
    counts: dict[CounterKey, Counter[str]] = defaultdict(Counter)
    for found in events:
        found.add_to(counts)
    if not engaged:
        return counts
    for key, names in engaged.items():
        for name, count in names.items():
            counts[key][name] += count
    return {key: left for key, names in counts.items() if (left := Counter({n: c for n, c in names.items() if c}))}


def _shard(raw: dict[str, Any]) -> str:
    """The stream's name and the shard's, such as `mepush-events/shardId-000000000000`."""
    return f"{raw['eventSourceARN'].rpartition('/')[2]}/{raw['eventID'].partition(':')[0]}"
