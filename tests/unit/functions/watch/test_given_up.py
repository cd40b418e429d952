"""Batches that the trace gave up: what is replayed, what has to wait, and what stays in the queue for a person."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from msgspec.structs import replace

from functions.watch.given_up import FIRST_WAIT_MS, GONE, LEFT, MAX_REPLAYS, UNREADABLE, GivenUp
from functions.watch.work import Done
from shared.aws.stream import EventStream, Stored, StreamReader
from shared.model.events import StreamRecord, record_of
from shared.store.counters import Counters, Progress
from tests.fakes import FakeClock
from tests.samples import envelope

ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/events"


class Stream:
    """A stream with one batch that was given up, its queue and its shards' progress."""

    name = "events"

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.arrived = 0
        self.bodies = [notice()]
        self.deleted: list[str] = []
        self.put_again: list[StreamRecord] = []
        self.woken: list[str | None] = []
        self.progress_of: dict[str, Progress] = {}
        self.parents_of: dict[str, list[str]] = {}
        self.clock = FakeClock()

    def give(self, record: StreamRecord) -> None:
        self.records.append(record.to_json())

    def replay(self, time_left: bool = True) -> Done:
        reader, stream, counters = cast(StreamReader, self), cast(EventStream, self), cast(Counters, self)
        return GivenUp(reader, stream, counters, self, "dlq", self.clock).replay(lambda: time_left)

    # Of SQS.
    def receive_message(self, **_: Any) -> Any:
        bodies, self.bodies = self.bodies, []
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in bodies]}

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:
        self.deleted.append(ReceiptHandle)

    # Of the stream.
    def pages(self, shard: str, first: int, last: int) -> Iterator[list[Stored]]:
        assert (shard, first, last) == ("events/shard-0", 5, 9)
        yield [Stored(str(n), data, "k", self.arrived) for n, data in enumerate(self.records)]

    def put(self, records: list[StreamRecord], hash_key: str | None = None) -> None:
        if hash_key is None:
            self.put_again += records
        else:
            self.woken.append(hash_key)

    def open_shards(self, stream: str) -> Iterator[tuple[str, str]]:
        yield from ((shard, f"hash of {shard}") for shard in ("events/a", "events/b"))

    def parents(self, shard: str) -> list[str]:
        return self.parents_of.get(shard, [])

    # Of the counters.
    def progress(self, shard: str) -> Progress:
        return self.progress_of.get(shard, Progress())


def notice(**changes: Any) -> str:
    batch = {"shardId": "shard-0", "startSequenceNumber": "5", "endSequenceNumber": "9", "streamArn": ARN}
    return json.dumps({"KinesisBatchInfo": {**batch, **changes}})


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_records_are_put_on_the_stream_again_and_say_how_often(stream: Stream) -> None:
    one = record_of(envelope(), [])
    stream.give(one)
    stream.give(replace(one, again=1))
    stream.clock.set(FIRST_WAIT_MS)
    done = stream.replay()
    assert [record.again for record in stream.put_again] == [1, 2]
    assert done.mended == {"records_replayed": 2} and stream.deleted == [notice()]


@pytest.mark.parametrize(("times", "wait_ms"), [(1, FIRST_WAIT_MS), (2, 4 * FIRST_WAIT_MS), (3, 16 * FIRST_WAIT_MS)])
def test_each_replay_waits_four_times_as_long(stream: Stream, times: int, wait_ms: int) -> None:
    stream.give(replace(record_of(envelope(), []), again=times))
    stream.arrived = stream.clock.now_ms()
    stream.clock.advance(ms=wait_ms - 1)
    assert not stream.replay().mended and not stream.deleted
    stream.bodies = [notice()]
    stream.clock.advance(ms=1)
    assert stream.replay().mended == {"records_replayed": 1}


def test_after_so_many_replays_it_is_left_to_a_person(stream: Stream) -> None:
    stream.give(replace(record_of(envelope(), []), again=MAX_REPLAYS))
    done = stream.replay()
    assert done.found[LEFT] == 1 and not done.mended and not stream.deleted


def test_what_cannot_be_read_is_counted_and_the_rest_replayed(stream: Stream) -> None:
    stream.records.append(b"not a record")
    stream.give(record_of(envelope(), []))
    done = stream.replay()
    assert done.found[UNREADABLE] == 1 and done.mended == {"records_replayed": 1}


@pytest.mark.parametrize("body", ["{", "{}", notice(shardId=None)])
def test_a_notice_that_cannot_be_read_stays(stream: Stream, body: str) -> None:
    stream.bodies = [body]
    assert stream.replay().found == {UNREADABLE: 1} and not stream.deleted


def test_a_batch_that_the_stream_has_forgotten_stays(stream: Stream) -> None:
    done = stream.replay()
    assert done.found[GONE] == 1 and not stream.deleted


def test_without_time_nothing_is_begun(stream: Stream) -> None:
    stream.give(record_of(envelope(), []))
    assert not stream.replay(time_left=False).finished
    assert not stream.put_again


@pytest.mark.parametrize(
    ("progress", "woken"),
    [
        ({}, 0),
        ({"events/a": Progress(7)}, 0),
        ({"events/a": Progress(7, unkept_from=5)}, 1),
        ({"events/a": Progress(7, aside=True)}, 1),
        ({"events/parent": Progress(7, unkept_from=5)}, 1),
        ({"events/a": Progress(1), "events/parent": Progress(7, unkept_from=5)}, 0),
        ({"events/a": Progress(7, aside=True), "events/b": Progress(7, aside=True)}, 2),
    ],
)
def test_a_shard_is_woken_that_may_not_have_kept_what_it_counted(
    stream: Stream, progress: dict[str, Progress], woken: int
) -> None:
    stream.progress_of, stream.parents_of = progress, {"events/a": ["events/parent"]}
    done = stream.replay()
    assert done.mended["shards_woken"] == woken == len(stream.woken)
