"""What the trace gave up: its records are put on the stream again, and shards that stand still are woken up.

The trace counts an event that it does not know and knows every event that it counted, so a record may come again at any
time, and any number of times. Only the trace writes events and counts.

What it gives up once more is put on the stream later each time: a record over which the function dies must not hold its
shard up all the time, and an outage of hours must not use up all replays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from pydantic import Field, ValidationError

from functions.watch.work import Done
from shared.aws.stream import EventStream, Stored, StreamReader
from shared.model.base import Model
from shared.model.clock import Clock
from shared.model.events import StreamRecord, read_record
from shared.model.ids import new_base
from shared.model.wire import UnreadableError
from shared.model.words import Channel, KeyKind, MessageClass
from shared.store.counters import Counters

MAX_REPLAYS = 7
FIRST_WAIT_MS = 300_000
"""Before a second replay, since the record came; each later one waits four times as long, the last for three days."""
HIDDEN_S = 240
"""What was looked at is not looked at again in the same sweep."""
UNREADABLE, GONE, LEFT = "records_unreadable", "records_gone", "records_given_up"


class _Range(Model):
    """Where in the stream a batch is, as the failure destination of an event source mapping is told (Lambda developer
    guide, "Retain discarded batch records")."""

    shard: str = Field(alias="shardId")
    first: int = Field(alias="startSequenceNumber")
    last: int = Field(alias="endSequenceNumber")
    stream: str = Field(alias="streamArn")


class _Notice(Model):
    batch: _Range = Field(alias="KinesisBatchInfo")


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Replays what the trace gave up."""

    reader: StreamReader
    stream: EventStream
    counters: Counters
    sqs: Any
    dlq_url: str
    """Of the queue to which that is told."""
    clock: Clock

    def replay(self, time_left: Callable[[], bool]) -> Done:
        """Put the records of batches that were given up on the stream again, and wake shards that stand still.

        What cannot be stays in the queue, where an alarm tells of it. Raises: what the queue and the stream raise.
        """
        done = Done()
        for message in self._notices():
            if not time_left():
                done.finished = False
                break
            if self._again(message["Body"], done):
                self.sqs.delete_message(QueueUrl=self.dlq_url, ReceiptHandle=message["ReceiptHandle"])
        self._wake(done)
        return done

    def _notices(self) -> Iterator[Any]:
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.dlq_url, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_S)
            if not answer.get("Messages"):
                return
            yield from answer["Messages"]

    def _again(self, body: str, done: Done) -> bool:
        """Whether a batch's records are on the stream again, all that can be read."""
        try:
            batch = _Notice.model_validate_json(body).batch
        except ValidationError:
            done.found[UNREADABLE] += 1
            return False
        shard = f"{batch.stream.rpartition('/')[2]}/{batch.shard}"
        found = [record for page in self.reader.pages(shard, batch.first, batch.last) for record in page]
        records = [record for stored in found if (record := _read(stored)) is not None]
        done.found[UNREADABLE] += len(found) - len(records)
        done.found[GONE] += not found
        times = max((record.again or 0 for record in records), default=0)
        if times >= MAX_REPLAYS:
            done.found[LEFT] += len(records)
        if not records or times >= MAX_REPLAYS or self.clock.now_ms() < found[-1].arrived_ms + _wait_ms(times):
            return False
        self.stream.put([replace(record, again=(record.again or 0) + 1) for record in records])
        done.mended["records_replayed"] += len(records)
        return True

    def _wake(self, done: Done) -> None:
        """Have the trace keep what it counted in shards to which nothing comes any more."""
        for shard, hash_key in self.reader.open_shards(self.stream.name):
            if self._stands(shard):
                self.stream.put([_nothing(self.clock.now_ms())], hash_key)
                done.mended["shards_woken"] += 1

    def _stands(self, shard: str) -> bool:
        """Whether what is counted in a shard, or in those before it, may not be kept."""
        progress = self.counters.progress(shard)
        if progress.counted >= 0:
            return progress.aside or progress.unkept_from is not None
        return any(self._stands(parent) for parent in self.reader.parents(shard))


def _read(stored: Stored) -> StreamRecord | None:
    try:
        return read_record(stored.data)
    except UnreadableError:
        return None


def _wait_ms(times: int) -> int:
    """After a record's arrival, before it is put on the stream once more."""
    return FIRST_WAIT_MS * 4 ** (times - 1) if times else 0


def _nothing(now: int) -> StreamRecord:
    """A record that tells nothing."""
    base = new_base(now)
    return StreamRecord(
        tenant="",
        envelope=base,
        channel=Channel.EMAIL,
        message_class=MessageClass.NOTIFICATION,
        template="",
        version=0,
        request=base,
        kind=KeyKind.TEST,
        events=[],
    )
