"""Writes event records to the Kinesis stream."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aws_lambda_powertools import Logger

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


class StreamError(Exception):
    """Records could not be written after several tries."""


class EventStream:
    """Writes records; a partial failure is tried again for the failed ones only.

    Order within the stream does not matter to the trace: events are facts, and repeats cost nothing.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def put(self, records: Sequence[StreamRecord]) -> None:
        """Write all records. Raises: StreamError if some could not be written."""
        for batch in _batches(records):
            self._put(batch)

    def _put(self, batch: list[dict[str, Any]]) -> None:
        for _ in range(TRIES):
            try:
                answer = self._client.put_records(StreamName=self._name, Records=batch)
            except Exception as error:  # botocore's errors share no useful base with the connection's
                raise StreamError(type(error).__name__) from error
            if not answer["FailedRecordCount"]:
                return
            # The answer is in the request's order (Kinesis API reference, PutRecords).
            results = zip(batch, answer["Records"], strict=True)
            batch = [entry for entry, result in results if result.get("ErrorCode")]
        raise StreamError(f"{len(batch)} records not written")


class StreamLag:
    """Measures how far a consumer of the stream is behind."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def by_shard(self, checkpoint: Callable[[str], int], now_ms: int) -> dict[str, int]:
        """For each shard the milliseconds since the arrival of the first record beyond its checkpoint; 0 if none is.

        checkpoint: the sequence number up to which `<stream>/<shard>` is done with; -1 for none.
        """
        found = {}
        arguments = {"StreamName": self._name}
        while True:
            answer = self._client.list_shards(**arguments)
            for shard in (each["ShardId"] for each in answer["Shards"]):
                found[shard] = self._lag(shard, checkpoint(f"{self._name}/{shard}"), now_ms)
            if not answer.get("NextToken"):
                return found
            arguments = {"NextToken": answer["NextToken"]}

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
