"""Plays the event source mapping of a stream: one poller per shard, each batch in order.

After the Lambda developer guide, "Using Lambda with Amazon Kinesis" and "Configuring partial batch response with
Kinesis Data Streams and Lambda".
"""

import base64
import json
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import ACCOUNT, REGION, StreamMapping
from local.logs import SINK
from local.pollers import WINDOW_SHARE, Invoke, Poller, failed_identifiers
from local.sources import MOTO, Sources
from shared.model.clock import iso

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Of one invocation, encoded (Lambda API reference, Invoke)."""
_IDLE_WAIT_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0

Record = dict[str, Any]


@dataclass(slots=True)
class _Batch:
    """Records to hand over together, and how often that failed."""

    records: Sequence[Record]
    failures: int = 0


class ShardPoller(Poller):
    """Follows one shard for one function, from its beginning."""

    def __init__(
        self,
        mapping: StreamMapping,
        shard_id: str,
        invoke: Invoke,
        clients: tuple[Any, Any],
        counter: RequestCounter,
        clock: LocalClock,
        sources: Sources = MOTO,
    ) -> None:
        super().__init__(f"poll-{mapping.stream_name}-{shard_id[-4:]}")
        self.mapping = mapping
        self._shard_id = shard_id
        self._invoke = invoke
        self._kinesis, self._sqs = clients
        self._counter = counter
        self._clock = clock
        self._sources = sources
        self._iterator: str | None = None
        self._read_to = 0
        self._work: deque[_Batch] = deque()

    def step(self) -> bool:
        self._work_begins()
        try:
            return self._step(wait=False) is not None
        finally:
            self._work_ends()

    def due_ms(self) -> float | None:
        unread = self._sources.newest_record(self.mapping.stream_name, self._shard_id) > self._read_to
        return 0.0 if self._work or unread else None

    def behind_ms(self) -> float:
        """How old the first record is that has not been dealt with, of those that were read."""
        if not self._work:
            return 0.0
        arrived: float = self._work[0].records[0]["ApproximateArrivalTimestamp"].timestamp()
        return self._clock.now_ms() - arrived * 1000

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            self._work_begins()
            try:
                failures = self._step(wait=True)
            except Exception:  # of any kind: the poller goes on, as a real one does
                SINK.failure(self._name)
                failures = 1
            finally:
                self._work_ends()
            if failures is None:
                self._awake.wait(_IDLE_WAIT_S)
            elif failures:
                self._stopping.wait(min(_FIRST_PAUSE_S * 2 ** (failures - 1), _LONGEST_PAUSE_S))

    def _step(self, *, wait: bool) -> int | None:
        """Hand over one batch. None if there was none, else how often its records have failed by now."""
        if not self._work:
            self._work.extend(_Batch(part) for part in _by_size(self._read(wait=wait)))
        if not self._work:
            return None
        batch = self._work.popleft()
        self._forget_old(batch)
        if not batch.records:
            return 0
        dealt_with = self._hand_over(batch.records)
        if dealt_with == len(batch.records):
            return 0
        return self._again(batch, dealt_with)

    def _again(self, batch: _Batch, dealt_with: int) -> int:
        """Put what is left of a batch back, in parts if it may be split, or give it up."""
        left = batch.records[dealt_with:]
        if dealt_with:
            # The checkpoint has moved: what begins there has failed once.
            self._work.appendleft(_Batch(left, 1))
            return 1
        if self.mapping.bisect and len(left) > 1:
            # Splitting counts as no try.
            middle = len(left) // 2
            self._work.extendleft((_Batch(left[middle:], batch.failures), _Batch(left[:middle], batch.failures)))
            return 0
        failures = batch.failures + 1
        if 0 <= self.mapping.max_retries < failures:
            self._give_up(left, "RetryAttemptsExhausted", failures)
            return 0
        self._work.appendleft(_Batch(left, failures))
        return failures

    def _forget_old(self, batch: _Batch) -> None:
        if self.mapping.max_age_s < 0:
            return
        oldest = self._clock.now() - self.mapping.max_age_s
        fresh = [r for r in batch.records if r["ApproximateArrivalTimestamp"].timestamp() >= oldest]
        if len(fresh) < len(batch.records):
            old = [r for r in batch.records if r["ApproximateArrivalTimestamp"].timestamp() < oldest]
            self._give_up(old, "RecordAgeExceeded", batch.failures)
            batch.records = fresh

    def _read(self, *, wait: bool) -> list[Record]:
        """Read up to a batch; (`wait`) for as long as the mapping's window if it is not full."""
        records = self._get(self.mapping.batch_size)
        until = time.monotonic() + self.mapping.window_s * WINDOW_SHARE
        while wait and records and len(records) < self.mapping.batch_size and not self._stopping.is_set():
            left = until - time.monotonic()
            if left <= 0:
                break
            self._awake.clear()
            more = self._get(self.mapping.batch_size - len(records))
            records += more
            if not more:
                self._awake.wait(left)
        return records

    def _get(self, most: int) -> list[Record]:
        if self._iterator is None:
            self._iterator = self._kinesis.get_shard_iterator(
                StreamName=self.mapping.stream_name, ShardId=self._shard_id, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        answer = self._kinesis.get_records(ShardIterator=self._iterator, Limit=most)
        self._iterator = answer["NextShardIterator"]
        records: list[Record] = answer["Records"]
        if records:
            self._read_to = int(records[-1]["SequenceNumber"])
            self._counter.mapping("kinesis.GetRecords")
        return records

    def _hand_over(self, records: Sequence[Record]) -> int:
        """Invoke the function; return how many records from the first on are dealt with."""
        try:
            answer = self._invoke(self.mapping.function, {"Records": [self._event(record) for record in records]})
        except Exception:  # a function may raise anything
            SINK.failure(self.mapping.function)
            return 0
        if not self.mapping.partial:
            return len(records)
        numbers = [record["SequenceNumber"] for record in records]
        failed = failed_identifiers(answer, numbers)
        if failed is None:
            return 0
        # The lowest number is the checkpoint: everything from it on is handed over again. Numbers, not texts.
        return numbers.index(min(failed, key=int)) if failed else len(records)

    def _event(self, record: Record) -> dict[str, Any]:
        """A record as a function sees it."""
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{self._shard_id}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/local",
            "awsRegion": REGION,
            "eventSourceARN": self.mapping.stream_arn,
        }

    def _give_up(self, records: Sequence[Record], condition: str, failures: int) -> None:
        """Tell the failure destination which records were given up; it gets their place in the stream only."""
        if not self.mapping.failure_queue_url:
            return
        arrivals = [int(record["ApproximateArrivalTimestamp"].timestamp() * 1000) for record in records]
        body = {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.mapping.function}",
                "condition": condition,
                "approximateInvokeCount": failures,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": iso(self._clock.now_ms()),
            "KinesisBatchInfo": {
                "shardId": self._shard_id,
                "startSequenceNumber": records[0]["SequenceNumber"],
                "endSequenceNumber": records[-1]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": iso(arrivals[0]),
                "approximateArrivalOfLastRecord": iso(arrivals[-1]),
                "batchSize": len(records),
                "streamArn": self.mapping.stream_arn,
            },
        }
        self._sqs.send_message(QueueUrl=self.mapping.failure_queue_url, MessageBody=json.dumps(body))
        self._counter.mapping("sqs.SendMessage")


def _by_size(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Cut records into parts that fit one invocation each."""
    start, size = 0, 0
    for i, record in enumerate(records):
        # Base64 makes four of three; some room for what surrounds the data.
        length = len(record["Data"]) * 4 // 3 + 700
        if i > start and size + length > MAX_PAYLOAD_BYTES:
            yield records[start:i]
            start, size = i, 0
        size += length
    if start < len(records):
        yield records[start:]
