"""The mapping from a stream to a function."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import StreamMapping
from local.stream_pollers import ShardPoller
from shared.aws import clients

ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/events"
SHARD = "shardId-000000000000"


class Stream:
    """A stream of one shard, its mapping, and a function that the test gives."""

    def __init__(self, clock: LocalClock, **mapping: Any) -> None:
        self.clock = clock
        self.counter = RequestCounter()
        self.kinesis: Any = clients.client("kinesis")
        self.sqs: Any = clients.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        self.kinesis.create_stream(StreamName="events", ShardCount=1)
        plain = StreamMapping("tail", "events", ARN, 10, 0, True, True, 2, 3600, self.dead)
        self.function: Callable[[Any], Any] = lambda event: None
        self.batches: list[list[str]] = []
        both = (self.kinesis, self.sqs)
        self.poller = ShardPoller(replace(plain, **mapping), SHARD, self.invoke, both, self.counter, clock)

    def invoke(self, name: str, event: Any) -> Any:
        assert name == "tail"
        self.batches.append([data(record) for record in event["Records"]])
        return self.function(event)

    def put(self, *texts: str) -> None:
        records = [{"Data": text.encode(), "PartitionKey": text[:10]} for text in texts]
        self.kinesis.put_records(StreamName="events", Records=records)

    def drain(self) -> None:
        while self.poller.step():
            assert len(self.batches) < 200

    def given_up(self) -> list[Any]:
        """What the failure destination was told."""
        found = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]


def data(record: Any) -> str:
    """A record's data as text."""
    return base64.b64decode(record["kinesis"]["data"]).decode()


@pytest.fixture
def stream(moto: None, local_clock: LocalClock) -> Stream:
    """A stream whose mapping splits batches and tries twice more."""
    return Stream(local_clock)


def poison(*bad: str) -> Callable[[Any], Any]:
    """A function that crashes when it sees one of these."""

    def function(event: Any) -> Any:
        if any(data(record) in bad for record in event["Records"]):
            raise LookupError

    return function


def report(*bad: str) -> Callable[[Any], Any]:
    """A function that reports these as failed, the last first."""

    def function(event: Any) -> Any:
        failed = [r["kinesis"]["sequenceNumber"] for r in event["Records"] if data(r) in bad]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in reversed(failed)]}

    return function


def test_what_a_function_sees_of_a_record(stream: Stream) -> None:
    seen: list[Any] = []
    stream.function = lambda event: seen.extend(event["Records"])
    stream.put("hello")
    stream.drain()
    (record,) = seen
    number = record["kinesis"].pop("sequenceNumber")
    arrival = record["kinesis"].pop("approximateArrivalTimestamp")
    assert len(number) == 56
    assert abs(arrival - stream.clock.now()) < 60
    assert record["kinesis"] == {"kinesisSchemaVersion": "1.0", "partitionKey": "hello", "data": "aGVsbG8="}
    assert record["eventID"] == f"{SHARD}:{number}"
    assert record["eventSource"] == "aws:kinesis"
    assert record["eventName"] == "aws:kinesis:record"
    assert record["eventSourceARN"] == ARN


def test_records_come_in_order_and_in_batches(stream: Stream) -> None:
    names = [f"{n:02}" for n in range(25)]
    stream.put(*names)
    stream.drain()
    assert [len(batch) for batch in stream.batches] == [10, 10, 5]
    assert [name for batch in stream.batches for name in batch] == names


def test_a_report_moves_the_checkpoint_to_the_lowest_number(stream: Stream) -> None:
    stream.function = report("c", "e")
    stream.put(*"abcdef")
    stream.poller.step()
    stream.function = lambda event: {"batchItemFailures": []}
    stream.drain()
    # Everything from the lowest on comes again, what succeeded included.
    assert stream.batches == [list("abcdef"), list("cdef")]


def test_a_report_that_makes_no_sense_moves_nothing(stream: Stream) -> None:
    stream.function = lambda event: {"batchItemFailures": [{"itemIdentifier": ""}]}
    stream.put(*"abcd")
    stream.poller.step()
    stream.function = lambda event: None
    stream.drain()
    assert stream.batches == [list("abcd"), list("ab"), list("cd")]


def test_one_poisoned_record_is_isolated_and_given_up(stream: Stream) -> None:
    stream.function = poison("f")
    stream.put(*"abcdefgh")
    stream.drain()
    handled = [batch for batch in stream.batches if "f" not in batch]
    assert [name for batch in handled for name in batch] == list("abcdegh")
    assert stream.batches.count(["f"]) == 3  # the first time and two retries
    (told,) = stream.given_up()
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 3
    info = told["KinesisBatchInfo"]
    assert info["batchSize"] == 1
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert info["shardId"] == SHARD
    assert stream.poller.due_ms() is None


def test_a_record_that_is_always_reported_is_given_up_and_no_other(stream: Stream) -> None:
    stream.function = report("c")
    stream.put(*"abcde")
    stream.drain()
    assert [told["KinesisBatchInfo"]["batchSize"] for told in stream.given_up()] == [1]
    assert stream.batches[-1] in (["d", "e"], ["e"])
    assert ["d"] in stream.batches or ["d", "e"] in stream.batches


def test_without_splitting_the_whole_batch_is_given_up(moto: None, local_clock: LocalClock) -> None:
    stream = Stream(local_clock, bisect=False)
    stream.function = poison("b")
    stream.put(*"abc")
    stream.drain()
    assert stream.batches == [list("abc")] * 3
    assert stream.given_up()[0]["KinesisBatchInfo"]["batchSize"] == 3


def test_nothing_overtakes_a_batch_that_is_tried_again(stream: Stream) -> None:
    stream.function = poison("a")
    stream.put("a")
    stream.poller.step()
    stream.put("b")
    stream.poller.step()
    assert stream.batches == [["a"], ["a"]]
    stream.function = lambda event: None
    stream.drain()
    assert stream.batches == [["a"], ["a"], ["a"], ["b"]]


def test_without_a_bound_it_is_tried_until_it_works(moto: None, local_clock: LocalClock) -> None:
    stream = Stream(local_clock, max_retries=-1, bisect=False)
    stream.function = poison("a")
    stream.put("a")
    for _ in range(60):
        assert stream.poller.step()
    stream.function = lambda event: None
    stream.drain()
    assert len(stream.batches) == 61
    assert stream.given_up() == []


def test_records_that_are_too_old_are_given_up(stream: Stream) -> None:
    stream.put("old")
    stream.clock.advance(3700)
    stream.put("new")
    stream.drain()
    assert stream.batches == [["new"]]
    (told,) = stream.given_up()
    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert told["KinesisBatchInfo"]["batchSize"] == 1


def test_an_invocation_carries_six_megabytes_at_most(moto: None, local_clock: LocalClock) -> None:
    stream = Stream(local_clock, batch_size=100)
    for n in range(8):
        stream.put(str(n) * 1_000_000)
    stream.drain()
    assert [len(batch) for batch in stream.batches] == [4, 4]


def test_requests_that_carried_records_are_counted(stream: Stream) -> None:
    stream.poller.step()
    assert stream.counter.mappings == Counter()
    stream.put(*(str(n) for n in range(12)))
    stream.drain()
    assert stream.counter.mappings == {"kinesis.GetRecords": 2}


def test_the_poller_knows_whether_something_is_left(stream: Stream) -> None:
    assert stream.poller.due_ms() is None
    stream.put("a")
    assert stream.poller.due_ms() == 0.0
    stream.drain()
    assert stream.poller.due_ms() is None
