"""The mapping from a queue to a function."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import QueueMapping
from local.pollers import QueuePoller, failed_identifiers
from shared.aws import clients

ARN = "arn:aws:sqs:us-east-1:123456789012:work"


class Queue:
    """A queue with a dead-letter queue, its mapping, and a function that the test gives."""

    def __init__(self, clock: LocalClock, **mapping: Any) -> None:
        self.clock = clock
        self.counter = RequestCounter()
        self.sqs: Any = clients.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        policy = {"deadLetterTargetArn": ARN.replace("work", "dead"), "maxReceiveCount": 3}
        attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "60"}
        self.url = self.sqs.create_queue(QueueName="work", Attributes=attributes)["QueueUrl"]
        plain = QueueMapping("mapping", "worker", ARN, self.url, 10, 0, True, None, 60)
        self.function: Callable[[Any], Any] = lambda event: None
        self.batches: list[list[str]] = []
        self.poller = QueuePoller(replace(plain, **mapping), self.invoke, self.sqs, self.counter, clock)

    def invoke(self, name: str, event: Any) -> Any:
        assert name == "worker"
        self.batches.append([record["body"] for record in event["Records"]])
        return self.function(event)

    def send(self, *bodies: str, **more: Any) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def drain(self) -> None:
        while self.poller.step():
            assert len(self.batches) < 100

    def left(self, url: str | None = None) -> int:
        """How many messages the queue holds, seen or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(n) for n in found.values())


@pytest.fixture
def queue(moto: None, local_clock: LocalClock) -> Queue:
    """A queue whose mapping has no window."""
    return Queue(local_clock)


def failures(*bodies: str) -> Callable[[Any], Any]:
    """A function that reports the messages with these bodies as failed."""

    def function(event: Any) -> Any:
        failed = [r["messageId"] for r in event["Records"] if r["body"] in bodies]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

    return function


def test_what_a_function_sees_of_a_message(queue: Queue) -> None:
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}}
    queue.send("hello", MessageAttributes=attributes, MessageGroupId="tenant.run")
    seen: list[Any] = []
    queue.function = lambda event: seen.extend(event["Records"])
    queue.drain()
    (record,) = seen
    assert record["body"] == "hello"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == ARN
    assert record["awsRegion"] == "us-east-1"
    assert record["md5OfBody"] == "5d41402abc4b2a76b9719d911017c592"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["MessageGroupId"] == "tenant.run"
    assert abs(int(record["attributes"]["SentTimestamp"]) - queue.clock.now_ms()) < 60_000
    assert record["messageAttributes"]["kind"]["stringValue"] == "x"
    assert record["messageId"] and record["receiptHandle"]


def test_a_batch_that_went_well_is_deleted(queue: Queue) -> None:
    queue.send(*"abcdefghijklm")
    queue.drain()
    assert [len(batch) for batch in queue.batches] == [10, 3]
    assert queue.left() == 0


def test_only_what_failed_is_shown_again_and_not_before_its_time(queue: Queue) -> None:
    queue.function = failures("b")
    queue.send("a", "b", "c")
    queue.drain()
    assert queue.left() == 1
    queue.clock.advance(59)
    queue.drain()
    assert len(queue.batches) == 1
    queue.clock.advance(2)
    queue.drain()
    assert queue.batches[1:] == [["b"]]


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"wrong": "x"}]},
        {"batchItemFailures": ["x"]},
        {"batchItemFailures": "x"},
        "failed",
    ],
)
def test_a_report_that_makes_no_sense_fails_the_whole_batch(queue: Queue, answer: Any) -> None:
    queue.function = lambda event: answer
    queue.send("a", "b")
    queue.drain()
    assert queue.left() == 2


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"failures": [1]}]
)
def test_an_empty_report_means_success(queue: Queue, answer: Any) -> None:
    queue.function = lambda event: answer
    queue.send("a", "b")
    queue.drain()
    assert queue.left() == 0


def test_without_partial_reports_the_answer_does_not_matter(moto: None, local_clock: LocalClock) -> None:
    queue = Queue(local_clock, partial=False)
    queue.function = failures("a")
    queue.send("a")
    queue.drain()
    assert queue.left() == 0


def test_a_crash_fails_the_whole_batch_and_after_enough_of_them_it_is_dead(queue: Queue) -> None:
    def crash(event: Any) -> Any:
        raise LookupError

    queue.function = crash
    queue.send("a", "b")
    for receives in range(1, 4):
        queue.drain()
        assert len(queue.batches) == receives
        assert (queue.left(), queue.left(queue.dead)) == (2, 0)
        queue.clock.advance(61)
    queue.drain()
    assert len(queue.batches) == 3
    assert (queue.left(), queue.left(queue.dead)) == (0, 2)


def test_a_window_gathers_what_is_there_up_to_the_batch_size(moto: None, local_clock: LocalClock) -> None:
    queue = Queue(local_clock, batch_size=25, window_s=1)
    queue.send(*(str(n) for n in range(60)))
    queue.drain()
    assert [len(batch) for batch in queue.batches] == [25, 25, 10]


def test_requests_that_carried_messages_are_counted(queue: Queue) -> None:
    queue.poller.step()
    assert queue.counter.mappings == Counter()
    queue.function = failures("a")
    queue.send("a", "b")
    queue.drain()
    assert queue.counter.mappings == {"sqs.ReceiveMessage": 1, "sqs.DeleteMessageBatch": 1}


def test_the_poller_knows_when_something_is_due(queue: Queue) -> None:
    assert queue.poller.due_ms() is None
    queue.send("later", DelaySeconds=300)
    due = queue.poller.due_ms()
    assert due is not None
    assert abs(due - queue.clock.now_ms() - 300_000) < 60_000
    queue.send("now")
    assert (queue.poller.due_ms() or 0) <= queue.clock.now_ms()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "z"}]}, None),
        ({"batchItemFailures": [{"itemIdentifier": ["a"]}]}, None),
        ([], None),
    ],
)
def test_failed_identifiers(answer: Any, expected: set[str] | None) -> None:
    assert failed_identifiers(answer, ["a", "b"]) == expected
