"""Receipts and the trace over tables in memory, struck at any of their calls, while what comes is doubled and in any
order."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from functions.receipts.deps import receiver_of
from functions.trace.deps import aggregator_of
from functions.trace.function import AggregatorSettings
from local.timeline_items import is_event
from shared.aws.stream import EventStream
from shared.model.events import StreamRecord, read_record
from shared.model.receipts import Receipt, Waiting, as_json
from shared.model.words import Channel
from shared.store.catalog import Catalog
from shared.store.dynamo import Item
from shared.store.kept_events import read_event
from shared.store.suppressions import Suppressions
from shared.wiring.accounts import AccountParts
from shared.wiring.parts import Parts
from tests.fakes import FakeClock
from tests.guarantees.plain_model import EventName, Place
from tests.guarantees.what_happens import Sent
from tests.integration.functions.receipts.harness import SETTINGS
from tests.integration.functions.trace.test_aggregate import Kinesis, raw

P = TypeVar("P", bound=Parts)
STRUCK = 0.02
"""Of the calls of AWS: the function dies before, or after it."""
RARE = {"put_records": 5, "send_message": 5, "put_item": 5, "transact_write_items": 4}
"""Calls that are few are struck so many times as often."""
GIVEN_UP = 0.05
"""Of the batches that failed: nobody tries them again, and later their records are put on the stream once more."""
DOUBLED = 0.1
"""Of what comes: it comes again, at another time and among others."""
BATCH = 40
"""Records of a shard that the trace gets at a time, at most."""
LATER = 4
"""So many rounds later receipts that came too early are looked at again."""


class Killed(BaseException):
    """The function dies here; nothing may catch it."""


@dataclass
class Strikes:
    """Kills a function before or after any of its calls, by chance. done: how often, by the call."""

    chance: random.Random
    share: float = STRUCK
    done: Counter[str] = field(default_factory=Counter)

    def call(self, name: str, make: Callable[[], Any]) -> Any:
        """Make a call, or not."""
        kind = self.chance.random() / (self.share * RARE.get(name, 1))
        if kind < 0.5:
            self.done[f"before {name}"] += 1
            raise Killed
        answer = make()
        if kind < 1:
            self.done[f"after {name}"] += 1
            raise Killed
        return answer


class Fragile:
    """A client whose calls are struck."""

    def __init__(self, client: Any, strikes: Strikes) -> None:
        self._client, self._strikes = client, strikes
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        return lambda **arguments: self._strikes.call(name, lambda: operation(**arguments))


class Stream(Kinesis):
    """A stream of two shards. It may take a part of a request, or all of it without an answer."""

    SHARDS = ("shardId-0", "shardId-1")

    def __init__(self, strikes: Strikes) -> None:
        super().__init__()
        self._strikes = strikes
        self._last = 10**55 - 50
        self.ahead: dict[str, list[int]] = defaultdict(list)
        """What the trace has not read yet."""

    def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> Any:
        return self._strikes.call("put_records", lambda: self._taken(Records))

    def _taken(self, entries: Sequence[dict[str, Any]]) -> Any:
        results = []
        for entry in entries:
            if self._strikes.chance.random() < self._strikes.share:
                self._strikes.done["put_records in part"] += 1
                results.append({"ErrorCode": "ProvisionedThroughputExceededException"})
                continue
            self._last += self._strikes.chance.randrange(1, 9)
            shard = self.SHARDS[sum(entry["PartitionKey"].encode()) % 2]
            self.put(shard, [(self._last, read_record(entry["Data"]))])
            self.ahead[shard].append(self._last)
            results.append({})
        return {"FailedRecordCount": sum(map(bool, results)), "Records": results}


class World:
    """Two processes of each function, and what they work on. tables: a client of DynamoDB."""

    def __init__(self, tables: Any, clock: FakeClock, seed: int) -> None:
        self.tables, self.clock = tables, clock
        self.chance = random.Random(seed)
        self.strikes = Strikes(self.chance)
        self.stream = Stream(self.strikes)
        self.waiting: list[tuple[int, Waiting]] = []
        self.round = 0
        self.handed = Counter[str]()
        self._catalog = Catalog(tables, "catalog", clock)
        self._catalog.ensure_tenant("default")
        self._fragile = Fragile(tables, self.strikes)
        self._queue: list[list[Receipt]] = []
        self._aggregators = [self._aggregator() for _ in range(2)]

    # What functions are made of

    def _aggregator(self) -> Any:
        tables = {f"{name}_table": name for name in ("catalog", "counters", "guard", "timeline")}
        settings = AggregatorSettings(**tables, deployment="mepush")
        return aggregator_of(self._parts(Parts, settings, stream_reader=self.stream.reader()))

    def _receive_batch(self, event: Any) -> None:
        """Have receipts worked on by a new process."""
        stream = EventStream(self.stream, "events")
        parts = self._parts(AccountParts, SETTINGS, stream=stream, receipt_queue=self, queues=None)
        receiver_of(parts).run(event)

    def _parts(self, kind: type[P], settings: Any, **given: Any) -> P:
        return kind(settings, client=lambda service: self._fragile, clock=self.clock, catalog=self._catalog, **given)

    def wait(self, waiting: Waiting, delay_s: int) -> None:
        """Take receipts that come again; the queue may take them without an answer."""
        if waiting.waiting:
            self.strikes.call("send_message", lambda: self.waiting.append((self.round + LATER, waiting)))

    # What happens

    def happen(self, envelopes: Iterable[Sent]) -> None:
        """Have all be told, said, received and traced, and go on until nothing is left."""
        rounds: dict[int, tuple[list[StreamRecord], list[Receipt]]] = defaultdict(lambda: ([], []))
        for k, one in enumerate(envelopes):
            self._spread(k // 10, one, rounds)
        while rounds or self.waiting or self._queue or any(self.stream.ahead.values()):
            records, receipts = rounds.pop(self.round, ([], []))
            self.chance.shuffle(records)
            self.chance.shuffle(receipts)
            self._put(records)
            self._queue += _cut(receipts, 100)
            self._receive()
            self._trace()
            self.round += 1
            assert self.round < 10_000, "there is no end"

    def _spread(self, at: int, one: Sent, rounds: dict[int, tuple[list[StreamRecord], list[Receipt]]]) -> None:
        """Say when what comes: dispatch may come before acceptance, and receipts before either."""
        for record in one.records:
            for _ in range(self._copies()):
                rounds[at + self.chance.randrange(3)][0].append(record)
        for receipt in one.receipts:
            for _ in range(self._copies()):
                rounds[at + self.chance.randrange(8)][1].append(receipt)

    def _copies(self) -> int:
        return 2 if self.chance.random() < DOUBLED else 1

    def _put(self, records: list[StreamRecord]) -> None:
        """Put records on the stream as dispatch does, which comes again with all of them if it dies."""
        self.handed["records"] += len(records)
        for some in _cut(records, 30):
            self._until_done(partial(EventStream(self.stream, "events").put, some))

    def _until_done(self, work: Callable[[], None]) -> None:
        for _ in range(1000):
            try:
                return work()
            except Killed:
                continue
        raise AssertionError("it died a thousand times")

    def _receive(self) -> None:
        due = [waiting for at, waiting in self.waiting if at <= self.round]
        self.waiting = [(at, waiting) for at, waiting in self.waiting if at > self.round]
        fresh = [Waiting(since=self.clock.now_ms(), tries=0, waiting=some) for some in self._queue]
        self._queue = []
        for some in _cut([*fresh, *due], 3):
            self.handed["receipts"] += sum(len(each.waiting) for each in some)
            records = [{"messageId": str(i), "body": as_json(each)} for i, each in enumerate(some)]
            self._until_done(partial(self._receive_batch, {"Records": records}))

    def _trace(self) -> None:
        for shard in Stream.SHARDS:
            numbers = self.stream.ahead.pop(shard, [])
            while numbers:
                size = self.chance.randrange(1, BATCH)
                self._work(shard, numbers[:size])
                del numbers[:size]

    def _work(self, shard: str, numbers: list[int]) -> None:
        """Have a batch worked on as a mapping does: what fails comes again, is cut in two, or is given up at last."""
        which = self.chance.randrange(2)
        records = [raw(number, self.stream.shards[shard][number].to_json(), shard) for number in numbers]
        self.handed["batches"] += 1
        try:
            answer = self._aggregators[which].run({"Records": records})
        except Killed:
            self._aggregators[which] = self._aggregator()
            self._again(shard, numbers)
        else:
            assert answer == {"batchItemFailures": []}

    def _again(self, shard: str, numbers: list[int]) -> None:
        kind = self.chance.random()
        if kind < GIVEN_UP:
            self.handed["given up"] += 1
            self._put([self.stream.shards[shard][number] for number in numbers])
        elif kind < 0.5 and len(numbers) > 1:
            self.handed["cut in two"] += 1
            middle = len(numbers) // 2
            self._work(shard, numbers[:middle])
            self._work(shard, numbers[middle:])
        else:
            self._work(shard, numbers)

    # What is there then

    def _items(self, table: str) -> Iterable[Item]:
        for page in self.tables.get_paginator("scan").paginate(TableName=table):
            yield from page["Items"]

    def counters(self) -> dict[Place, Counter[str]]:
        """Every counter, shards summed up."""
        found: dict[Place, Counter[str]] = defaultdict(Counter)
        for item in self._items("counters"):
            tenant, _, scope = item["pk"]["S"].partition("#")
            if tenant == "default":
                place = item["sk"]["S"].rpartition("#")[0]
                found[scope, place].update({n: int(v["N"]) for n, v in item.items() if "N" in v})
        return dict(found)

    def timeline(self) -> tuple[set[EventName], dict[EventName, int | None]]:
        """Every event, and how long each took. A campaign's messages are accepted by an item of their envelope."""
        events: set[EventName] = set()
        took: dict[EventName, int | None] = {}
        for item in self._items("timeline"):
            if is_event(item["pk"]["S"]):
                message_id, stage, nth = item["sk"]["S"].split("#")
                events.add((message_id, stage, int(nth)))
                took[message_id, stage, int(nth)] = read_event(item["d"]["S"]).took_ms
            elif "h" in item and item["sk"]["S"].endswith("#accepted"):
                events |= {(id, "accepted", 0) for id in _ids(item)}
        return events, took

    def listed(self) -> dict[str, set[str]]:
        """Who is on the suppression list, by tag, and for what."""
        store, cursor = Suppressions(self.tables, "catalog", self.clock), None
        found: dict[str, set[str]] = {}
        while True:
            page = store.page("default", [Channel.EMAIL], lambda _: True, 1000, cursor)
            found |= {each.tag: {entry.reason.value for entry in each.entries} for each in page.items}
            cursor = page.cursor
            if cursor is None:
                return found


def _cut(what: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(what), size):
        yield list(what[start : start + size])


def _ids(item: Item) -> list[str]:
    return list(json.loads(item["d"]["S"]))
