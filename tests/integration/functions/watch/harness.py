"""A watch over moto's tables, queues and schedules, with a stream that keeps or loses what it is given."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import Any

from functions.trace.deps import aggregator_of
from functions.watch.deps import health_of, sweep_of
from functions.watch.function import SweepSettings
from functions.watch.health import HealthReader
from local.timeline_items import is_event
from shared.base.channels import queue_name
from shared.base.settings import AfterwardsSettings, DeadLetterSettings, LiveMetricsSettings
from shared.lifecycle.tail import tail
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, accepted_rows, record_of
from shared.model.words import OUTCOMES, Channel, MessageClass
from shared.store.counters import in_flight
from shared.store.kept_events import KeptEvent, read_event
from shared.store.ledger import Entry
from shared.store.marks import SweepMark
from shared.wiring.parts import Parts
from tests.conftest import Aws
from tests.fakes import FakeClock

GROUP = "mepush"
HOUR_S = 3600
DAY_S = 24 * HOUR_S
_READS = ("get_", "list_", "query", "batch_get_", "scan")


class Killed(BaseException):
    """The function dies here; nothing may catch it."""


class Fate:
    """Counts the calls that change something, and dies before or after the n-th.

    Between two of them nothing is remembered but in the function itself, so these are all the places to die at.
    """

    def __init__(self) -> None:
        self.calls, self.at, self.after = 0, 0, False
        self.names: list[str] = []

    def arm(self, at: int, after: bool = False) -> None:
        self.calls, self.at, self.after = 0, at, after
        self.names.clear()


class Fragile:
    """A client under a fate."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client, self._fate = client, fate
        self.exceptions = getattr(client, "exceptions", None)

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if name.startswith(_READS):
            return operation

        def call(**arguments: Any) -> Any:
            fate = self._fate
            fate.calls += 1
            fate.names.append(name)
            if (fate.calls, False) == (fate.at, fate.after):
                raise Killed
            try:
                return operation(**arguments)
            finally:
                if fate.calls == fate.at:
                    raise Killed

        return call


class Inline(Executor):
    """Does what it is given at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Any:
        return iter([fn(*arguments) for arguments in zip(*iterables, strict=True)])


class Shard:
    """Kinesis with one shard, as far as it is used. Records arrive by the test's clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.records: list[tuple[int, bytes]] = []
        self.given = 0

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> Any:
        self.records += [(self.clock.now_ms(), record["Data"]) for record in Records]
        return {"FailedRecordCount": 0, "Records": []}

    def list_shards(self, StreamName: str) -> Any:
        hashes = {"StartingHashKey": "0", "EndingHashKey": "1"}
        return {"Shards": [{"ShardId": "shardId-0", "HashKeyRange": hashes, "SequenceNumberRange": {}}]}

    def get_shard_iterator(self, **given: Any) -> Any:
        first = int(given.get("StartingSequenceNumber", "0"))
        return {"ShardIterator": str(first + (given["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"))}

    def get_records(self, ShardIterator: str, Limit: int = 100) -> Any:
        beyond = list(enumerate(self.records))[int(ShardIterator) :][:Limit]
        found = [
            {
                "SequenceNumber": str(sequence),
                "Data": data,
                "PartitionKey": "k",
                "ApproximateArrivalTimestamp": datetime.fromtimestamp(at / 1000, UTC),
            }
            for sequence, (at, data) in beyond
        ]
        return {"Records": found, "MillisBehindLatest": 0}


class WorldSettings(SweepSettings, DeadLetterSettings, LiveMetricsSettings, AfterwardsSettings):
    """The environments of the sweep and of the API together."""


class WatchHarness:
    """The parts of the watch, and what happens around it."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.aws, self.clock, self.fate = aws, clock, Fate()
        self.shard = Shard(clock)
        self.remaining_ms = 240_000
        self.sqs, self.scheduler = aws.client("sqs"), aws.client("scheduler")
        names = [queue_name(channel, each) for channel in Channel for each in MessageClass]
        self.urls = {name: self._queue(name) for name in names}
        self.dlq_urls = {name: self._queue(f"{name}-dlq") for name in names}
        self.schedules_dlq_url, self.trace_dlq_url = self._queue("schedules-dlq"), self._queue("trace-dlq")
        self.receipts_dlq_url, self.webhooks_dlq_url = self._queue("receipts-dlq"), self._queue("webhooks-dlq")
        self.scheduler.create_schedule_group(Name=GROUP)
        self.tasks_url = self._queue("campaigns")
        clients = {"sqs": self.sqs, "scheduler": self.scheduler, "dynamodb": aws.dynamodb, "kinesis": self.shard}
        self.parts = Parts(self._settings(), client=clients.__getitem__, clock=clock)
        self.catalog, self.ledger, self.schedules = self.parts.catalog, self.parts.ledger, self.parts.schedules
        self.counters, self.marks, self.routing = self.parts.counters, self.parts.marks, self.parts.health
        self.catalog.ensure_tenant("default")
        fragile = {service: Fragile(client, self.fate) for service, client in clients.items()}
        # What the catalog and the schedules are asked for does not fail.
        parts = Parts(
            self._settings(),
            client=fragile.__getitem__,
            clock=clock,
            tenants=self.catalog,
            schedules=self.schedules,
        )
        self.sweeper = sweep_of(parts, Inline())

    def _queue(self, name: str) -> str:
        return str(self.sqs.create_queue(QueueName=name.replace(".", "-"))["QueueUrl"])

    def _settings(self) -> WorldSettings:
        return WorldSettings(
            deployment="mepush",
            catalog_table="catalog",
            guard_table="guard",
            counters_table="counters",
            timeline_table="timeline",
            stream_name="events",
            queue_urls=json.dumps(self.urls),
            dlq_urls=json.dumps(self.dlq_urls),
            schedule_group=GROUP,
            schedule_role_arn="arn:aws:iam::123456789012:role/s",
            schedule_dlq_arn="arn:aws:sqs:::dlq",
            campaigns_url=self.tasks_url,
            schedules_dlq_url=self.schedules_dlq_url,
            trace_dlq_url=self.trace_dlq_url,
            receipts_dlq_url=self.receipts_dlq_url,
            webhooks_dlq_url=self.webhooks_dlq_url,
        )

    def health(self) -> HealthReader:
        """The reader of the API."""
        return health_of(self.parts, Inline())

    def sweep(self) -> SweepMark:
        """Sweep once."""
        return self.sweeper.run(lambda: self.remaining_ms)

    def mend(self) -> SweepMark:
        """Sweep, and let the trace take what came of it."""
        mark = self.sweep()
        self.trace()
        return mark

    # What happens before

    def accept(self, *envelopes: Envelope, due_at: int | None = None) -> None:
        """Accept envelopes, and lose what their queues would have got."""
        for one in envelopes:
            deferred = [] if due_at is None else rows_of(one, "deferred", reason="scheduled", due_at=due_at)
            self.tell(record_of(one, accepted_rows(one) + deferred))
        self.trace()

    def close(self, one: Envelope, rows: list[EventRow], *, told: bool = True) -> list[Envelope]:
        """Have a dispatcher close a ledger with `rows`, and return the envelopes that carry on."""
        self.ledger.acquire(one.id, Entry("dispatcher", self.clock.now_ms() + 60_000, rows, {}, closed=True))
        followed = tail(one, rows)
        if told:
            self.tell(followed.record)
            self.trace()
        return [dispatch.envelope for dispatch in followed.dispatches] + followed.parked

    def tell(self, record: StreamRecord) -> None:
        """Put a record on the stream."""
        self.parts.stream.put([record])

    def trace(self) -> None:
        """Have the trace work on what the stream got."""
        aggregator = aggregator_of(self.parts)
        records = [
            {
                "kinesis": {"sequenceNumber": str(sequence), "data": base64.b64encode(data).decode()},
                "eventID": f"shardId-0:{sequence}",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/events",
            }
            for sequence, (_, data) in enumerate(self.shard.records)
        ][self.shard.given :]
        self.shard.given = len(self.shard.records)
        if records:
            assert aggregator.run({"Records": records}) == {"batchItemFailures": []}

    # What can be seen afterwards

    def stages(self) -> Counter[str]:
        """Events of the timeline by stage."""
        items = self.aws.dynamodb.scan(TableName="timeline")["Items"]
        return Counter(json.loads(i["d"]["S"])["s"] for i in items if is_event(i["pk"]["S"]))

    def events(self, stage: str) -> list[KeptEvent]:
        """The events of a stage."""
        items = self.aws.dynamodb.scan(TableName="timeline")["Items"]
        found = [read_event(i["d"]["S"]) for i in items if is_event(i["pk"]["S"])]
        return [event for event in found if event.stage == stage]

    def counts(self) -> Counter[str]:
        """The tenant's counters over all hours."""
        total: Counter[str] = Counter()
        for counts in self.counters.read("default#tenant", 0, 10**7).values():
            total.update(counts)
        return total

    def in_flight(self) -> int:
        """Messages without an outcome, by the counters."""
        return in_flight(self.counts())

    def outcomes_by_message(self) -> Counter[str]:
        """How many outcomes each message has in the timeline."""
        found: Counter[str] = Counter()
        for item in self.aws.dynamodb.scan(TableName="timeline")["Items"]:
            message_id, _, rest = item["sk"]["S"].partition("#")
            if is_event(item["pk"]["S"]) and rest.partition("#")[0] in OUTCOMES:
                found[message_id] += 1
        return found

    def queued(self, name: str = "email.notification") -> list[str]:
        """The bodies on a queue, which stay hidden afterwards."""
        bodies: list[str] = []
        while messages := self.sqs.receive_message(QueueUrl=self.urls[name], MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return sorted(bodies)

    def names(self) -> list[str]:
        """The schedules that exist."""
        return sorted(each["Name"] for each in self.scheduler.list_schedules(GroupName=GROUP)["Schedules"])


def rows_of(one: Envelope, stage: str, n: int = 0, **more: Any) -> list[EventRow]:
    """A row for each recipient of an envelope, at the time of acceptance."""
    common: Any = {"stage": stage, "nth": n, "at": one.accepted_at + 5, **more}
    return [EventRow(index=r.index, tag=r.tag, **common) for r in one.recipients]
