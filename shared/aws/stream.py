"""Writes event records to the Kinesis stream."""

from collections.abc import Iterator, Sequence
from typing import Any

from aws_lambda_powertools import Logger

from shared.model.events import StreamRecord

logger = Logger(child=True)

MAX_RECORDS = 500
"""Records per PutRecords (Kinesis API reference, PutRecords)."""
MAX_BYTES = 4_500_000
"""Bytes per PutRecords: below 5 MiB, the limit until it was raised to 10 MiB, so that every Region takes it."""
TRIES = 4


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


def _batches(records: Sequence[StreamRecord]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for record in records:
        data = record.to_json()
        if batch and (len(batch) == MAX_RECORDS or size + len(data) > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"Data": data, "PartitionKey": record.partition_key})
        size += len(data)
    if batch:
        yield batch
