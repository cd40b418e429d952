"""Kinesis in memory: shards as lists, sequence numbers as long as real ones."""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from local.memory.errors import AwsError, invalid
from local.memory.operations import Operations, operation
from shared.model.clock import Clock

FIRST_SEQUENCE_NUMBER = 49_650_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000
"""Sequence numbers of AWS have 56 digits and differ between shards."""
MAX_RECORDS, MAX_PUT_BYTES = 500, 10 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
MAX_GET_RECORDS, MAX_GET_BYTES = 10_000, 10 * 1024 * 1024
"""All from the Kinesis Data Streams API reference."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record. at_ms: when it arrived, in milliseconds since the epoch."""

    data: bytes
    partition_key: str
    at_ms: int


class Shard:
    """One shard, whose sequence numbers have no gaps."""

    def __init__(self, index: int, description: Mapping[str, Any]) -> None:
        self.id = str(description["ShardId"])
        hashes = description["HashKeyRange"]
        self.first_hash, self.last_hash = int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])
        self.base = FIRST_SEQUENCE_NUMBER + index * 10**50 + 1
        self.records: list[Record] = []

    def number(self, position: int) -> str:
        """The sequence number of the record at a position."""
        return str(self.base + position)


class Kinesis(Operations):
    """Streams by name; thread-safe."""

    passed_on = frozenset({"DescribeStream", "DescribeStreamSummary", "ListStreams"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._streams: dict[str, list[Shard]] = {}

    def adopt(self, name: str, shards: Sequence[Mapping[str, Any]]) -> None:
        """Play a stream from now on, empty, with the shards that ListShards gives."""
        self._streams[name] = [Shard(i, shard) for i, shard in enumerate(shards)]

    def newest(self, stream: str, shard_id: str) -> int:
        """The sequence number of a shard's newest record; 0 if there is none."""
        shard = self._shard(stream, shard_id)
        return shard.base + len(shard.records) - 1 if shard.records else 0

    def held(self, stream: str) -> dict[str, list[dict[str, Any]]]:
        """The records of each shard of a stream, as plain data."""
        with self._lock:
            return {shard.id: [asdict(record) for record in shard.records] for shard in self._shards(stream)}

    def take(self, stream: str, records: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """Put records into the shards of an empty stream, as `held` gave them: they have the same numbers again."""
        with self._lock:
            for id, given in records.items():
                self._shard(stream, id).records = [Record(**record) for record in given]

    @operation("StreamName", "StreamARN", "Data", "PartitionKey", "ExplicitHashKey")
    def _put_record(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        _check([asked])
        with self._lock:
            return self._put(_name(asked), asked)

    @operation("StreamName", "StreamARN", "Records")
    def _put_records(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if not 1 <= len(asked["Records"]) <= MAX_RECORDS:
            raise invalid(f"Member must have length between 1 and {MAX_RECORDS}")
        _check(asked["Records"])
        with self._lock:
            self._shards(_name(asked))
            records = [self._put(_name(asked), record) for record in asked["Records"]]
        return {"FailedRecordCount": 0, "Records": records}

    def _put(self, stream: str, record: Mapping[str, Any]) -> dict[str, Any]:
        key, explicit = record["PartitionKey"], record.get("ExplicitHashKey")
        digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
        hashed = int(explicit) if explicit else int.from_bytes(digest)
        shard = next(each for each in self._shards(stream) if each.first_hash <= hashed <= each.last_hash)
        data = record["Data"]
        raw = data.encode() if isinstance(data, str) else bytes(data)
        shard.records.append(Record(raw, key, self._clock.now_ms()))
        return {"SequenceNumber": shard.number(len(shard.records) - 1), "ShardId": shard.id}

    @operation("StreamName", "StreamARN")
    def _list_shards(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            {
                "ShardId": shard.id,
                "HashKeyRange": {"StartingHashKey": str(shard.first_hash), "EndingHashKey": str(shard.last_hash)},
                "SequenceNumberRange": {"StartingSequenceNumber": shard.number(0)},
            }
            for shard in self._shards(_name(asked))
        ]
        return {"Shards": found}

    @operation("StreamName", "StreamARN", "ShardId", "ShardIteratorType", "StartingSequenceNumber")
    def _get_shard_iterator(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        stream, kind = _name(asked), asked["ShardIteratorType"]
        with self._lock:
            shard = self._shard(stream, asked["ShardId"])
            if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
                position = int(asked["StartingSequenceNumber"]) - shard.base + (kind == "AFTER_SEQUENCE_NUMBER")
            elif kind in ("TRIM_HORIZON", "LATEST"):
                position = 0 if kind == "TRIM_HORIZON" else len(shard.records)
            else:
                raise NotImplementedError(f"iterators of the type {kind} are not known")
        return {"ShardIterator": f"{stream}|{shard.id}|{max(position, 0)}"}

    @operation("ShardIterator", "Limit")
    def _get_records(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        limit = asked.get("Limit", MAX_GET_RECORDS)
        if not 1 <= limit <= MAX_GET_RECORDS:
            raise AwsError("InvalidArgumentException", f"Limit must be between 1 and {MAX_GET_RECORDS}")
        stream, shard_id, start = [*asked["ShardIterator"].split("|"), "", ""][:3]
        if not start.isdigit():
            raise AwsError("InvalidArgumentException", "Invalid ShardIterator.")
        first, room = int(start), MAX_GET_BYTES
        with self._lock:
            shard = self._shard(stream, shard_id)
            found: list[dict[str, Any]] = []
            for position in range(first, min(first + limit, len(shard.records))):
                record = shard.records[position]
                room -= len(record.data)
                if found and room < 0:
                    break
                found.append(_shown(shard.number(position), record))
            behind = 0
            if found and first + len(found) < len(shard.records):
                behind = shard.records[-1].at_ms - shard.records[first + len(found) - 1].at_ms
        following = f"{stream}|{shard_id}|{first + len(found)}"
        return {"Records": found, "NextShardIterator": following, "MillisBehindLatest": behind}

    def _shards(self, stream: str) -> list[Shard]:
        found = self._streams.get(stream)
        if found is None:
            raise _missing(f"Stream {stream} under account not found.")
        return found

    def _shard(self, stream: str, shard_id: str) -> Shard:
        for shard in self._shards(stream):
            if shard.id == shard_id:
                return shard
        raise _missing(f"Shard {shard_id} in stream {stream} does not exist")


def _missing(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, {"message": message})


def _name(asked: Mapping[str, Any]) -> str:
    return str(asked.get("StreamName") or asked["StreamARN"].rpartition("/")[2])


def _shown(number: str, record: Record) -> dict[str, Any]:
    return {
        "SequenceNumber": number,
        "ApproximateArrivalTimestamp": datetime.fromtimestamp(record.at_ms / 1000, UTC),
        "Data": record.data,
        "PartitionKey": record.partition_key,
    }


def _check(records: Sequence[Mapping[str, Any]]) -> None:
    total = 0
    for record in records:
        length = len(record["Data"]) + len(record["PartitionKey"].encode())
        if length > MAX_RECORD_BYTES:
            raise invalid("Member must have length less than or equal to 1048576")
        total += length
    if total > MAX_PUT_BYTES:
        raise AwsError("InvalidArgumentException", "Records size exceeds 10 MB limit")
