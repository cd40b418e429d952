"""Writes event records to the Kinesis stream."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.aws.errors import AWS_ERRORS
from shared.errors import UnavailableError
from shared.model.events import StreamRecord
from shared.model.sizes import size

logger = Logger(child=True)

MAX_RECORDS = 500
"""Records per PutRecords (Kinesis API reference, PutRecords)."""
MAX_RECORD_BYTES = 1_048_576
"""Of a record, with its key (the same, PutRecordsRequestEntry): a stream takes larger ones only where it is set to."""
MAX_BYTES = 5_242_880
"""Per PutRecords, with the keys: 5 MiB, the limit until it was raised to 10 MiB, so that every Region takes it."""
TRIES = 4
EMPTY_ANSWERS = 10


class StreamError(UnavailableError):
    """Records could not be written after several tries."""


class EventStream:
    """Writes records; a partial failure is tried again for the failed ones only.

    Order within the stream does not matter to the trace: events are facts, and repeats cost nothing.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        """The stream's name."""
        return self._name

    def put(self, records: Sequence[StreamRecord], hash_key: str | None = None) -> None:
        """Write all records. hash_key: to the shard of that hash key, whatever their own is.

        Raises: StreamError if some could not be written.
        """
        for batch in _batches(records):
            self._put(batch if hash_key is None else [{**entry, "ExplicitHashKey": hash_key} for entry in batch])

    def _put(self, batch: list[dict[str, Any]]) -> None:
        for _ in range(TRIES):
            try:
                answer = self._client.put_records(StreamName=self._name, Records=batch)
            except AWS_ERRORS as error:
                raise StreamError(type(error).__name__) from error
            if not answer["FailedRecordCount"]:
                return
            # The answer is in the request's order (Kinesis API reference, PutRecords).
            results = zip(batch, answer["Records"], strict=True)
            batch = [entry for entry, result in results if result.get("ErrorCode")]
        raise StreamError(f"{len(batch)} records not written")


class Stored(Struct, frozen=True):
    """A record as the stream holds it."""

    sequence: str
    data: bytes
    key: str
    arrived_ms: int
    """Milliseconds since the epoch."""


class StreamReader:
    """Reads parts of shards again. Shards are named `<stream>/<shard>`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def pages(self, shard: str, first: int, last: int) -> Iterator[list[Stored]]:
        """The records from one sequence number to another, both included; none that the stream has forgotten.

        Raises: what the client raises.
        """
        stream, _, shard_id = shard.partition("/")
        place = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(first)}
        try:
            got = self._client.get_shard_iterator(StreamName=stream, ShardId=shard_id, **place)
        except self._client.exceptions.ResourceNotFoundException:
            # The shard was closed longer ago than the stream keeps records.
            return
        iterator: str | None = got["ShardIterator"]
        while iterator is not None:
            answer = self._client.get_records(ShardIterator=iterator)
            found = [_stored(record) for record in answer["Records"]]
            if wanted := [each for each in found if first <= int(each.sequence) <= last]:
                yield wanted
            if found and int(found[-1].sequence) >= last:
                return
            # An answer without records says nothing as long as it is behind the newest one (Kinesis API, GetRecords).
            if not found and not answer.get("MillisBehindLatest", 0):
                return
            iterator = answer.get("NextShardIterator")

    def open_shards(self, stream: str) -> Iterator[tuple[str, str]]:
        """The shards of a stream to which records may come, each with a hash key of its own."""
        for found in list_shards(self._client, stream):
            if "EndingSequenceNumber" not in found["SequenceNumberRange"]:
                yield f"{stream}/{found['ShardId']}", found["HashKeyRange"]["StartingHashKey"]

    def parents(self, shard: str) -> list[str]:
        """The shards whose place a shard took when the stream was split or merged; none that are forgotten."""
        stream, _, shard_id = shard.partition("/")
        for found in list_shards(self._client, stream):
            if found["ShardId"] == shard_id:
                ids = [found[name] for name in ("ParentShardId", "AdjacentParentShardId") if found.get(name)]
                return [f"{stream}/{id}" for id in ids]
        return []


def _stored(record: Any) -> Stored:
    arrived_ms = int(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    return Stored(record["SequenceNumber"], record["Data"], record["PartitionKey"], arrived_ms)


def list_shards(client: Any, stream: str) -> Iterator[Any]:
    """The shards of a stream, open and closed, as ListShards describes them."""
    arguments = {"StreamName": stream}
    while True:
        answer = client.list_shards(**arguments)
        yield from answer["Shards"]
        if not answer.get("NextToken"):
            return
        arguments = {"NextToken": answer["NextToken"]}


class StreamLag:
    """Measures how far a consumer of the stream is behind."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def by_shard(self, checkpoint: Callable[[str], int], now_ms: int) -> dict[str, int]:
        """For each shard the milliseconds since the arrival of the first record beyond its checkpoint; 0 if none is.

        checkpoint: the sequence number up to which `<stream>/<shard>` is done with; -1 for none.
        """
        shards = [each["ShardId"] for each in list_shards(self._client, self._name)]
        return {shard: self._lag(shard, checkpoint(f"{self._name}/{shard}"), now_ms) for shard in shards}

    def _lag(self, shard: str, checkpoint: int, now_ms: int) -> int:
        place = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if checkpoint < 0
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(checkpoint)}
        )
        got = self._client.get_shard_iterator(StreamName=self._name, ShardId=shard, **place)
        iterator: str | None = got["ShardIterator"]
        behind = 0
        # An answer without records says nothing as long as it is behind the newest one (Kinesis API, GetRecords).
        for _ in range(EMPTY_ANSWERS):
            if iterator is None:
                return 0
            answer = self._client.get_records(ShardIterator=iterator, Limit=1)
            if answer["Records"]:
                arrived = int(answer["Records"][0]["ApproximateArrivalTimestamp"].timestamp() * 1000)
                return max(0, now_ms - arrived)
            behind = int(answer.get("MillisBehindLatest", 0))
            if not behind:
                return 0
            iterator = answer.get("NextShardIterator")
        return behind


def _batches(records: Sequence[StreamRecord]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    taken = 0
    for record in records:
        entry = {"Data": record.to_json(), "PartitionKey": record.partition_key}
        length = len(entry["Data"]) + size(record.partition_key)
        if batch and (len(batch) == MAX_RECORDS or taken + length > MAX_BYTES):
            yield batch
            batch, taken = [], 0
        batch.append(entry)
        taken += length
    if batch:
        yield batch
