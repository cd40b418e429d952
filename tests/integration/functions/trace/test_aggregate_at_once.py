"""The few events of a lone message are counted and put in one request, by a process that asks for nothing it knows."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.trace.aggregate import MAX_AT_ONCE, Aggregator
from functions.trace.deps import aggregator_of
from functions.trace.known import MAX_EVENTS
from shared.model.events import StreamRecord, accepted_rows, record_of
from shared.store.counters import Counters
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, TraceHarness, raw, rows
from tests.memory import tables
from tests.samples import envelope

Records = list[tuple[int, StreamRecord]]
SHARD = "events/shardId-0"


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> Iterator[TraceHarness]:
    made = TraceHarness(aws, clock)
    with tables(clock, "timeline", "counters"):
        yield made


class Noting:
    """A client that notes its calls. instead: what a call of this name does, once."""

    def __init__(self, client: Any) -> None:
        self._client, self.exceptions, self.calls = client, client.exceptions, list[str]()
        self.instead: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self.calls.append(name)
            instead = self.instead.pop(name, None)
            return operation(**arguments) if instead is None else instead(lambda: operation(**arguments))

        return call

    def made(self) -> list[str]:
        """The calls since the last look."""
        calls, self.calls = self.calls, []
        return calls


class Process:
    """A process of the trace, which remembers."""

    def __init__(self, harness: TraceHarness) -> None:
        self.client = Noting(harness.aws.dynamodb)
        self.aggregator: Aggregator = aggregator_of(harness.parts(self.client))
        self._kinesis = harness.kinesis

    def run(self, *records: tuple[int, StreamRecord]) -> list[str]:
        """Work on a batch; returns the calls."""
        self._kinesis.put("shardId-0", list(records))
        self.aggregator.run({"Records": [raw(number, record.to_json(), "shardId-0") for number, record in records]})
        return self.client.made()


def told(start: int, *stages: str, size: int = 1) -> StreamRecord:
    """What is told of an envelope: that it is accepted, and more of each message."""
    one = envelope(size, start=start)
    return record_of(one, accepted_rows(one) + [row for stage in stages for row in rows(one, stage)])


ONCE = ["transact_write_items"]


def test_a_lone_message_is_one_request(harness: TraceHarness) -> None:
    process = Process(harness)
    process.run((1, told(0, "sent")))
    assert process.run((2, told(100)), (3, told(100, "sent"))) == ONCE
    # Or it comes in two batches: what the second one says again is known.
    assert [process.run((4, told(200))), process.run((5, told(200, "sent")))] == [ONCE, ONCE]
    assert harness.counters() == harness.timeline() == {"accepted": 3, "sent": 3}


def test_the_first_batch_asks_how_far_the_shard_is(harness: TraceHarness) -> None:
    Process(harness).run((1, told(0)))
    assert Process(harness).run((2, told(100))) == ["get_item", *ONCE]


def test_many_events_are_not_put_at_twice_the_price(harness: TraceHarness) -> None:
    process = Process(harness)
    process.run((1, told(0)))
    calls = process.run((2, told(100, "sent", size=MAX_AT_ONCE)))
    assert calls == ["batch_get_item", *ONCE, "batch_write_item", "update_item"]
    assert process.run((3, told(200))) == ONCE


def test_what_is_there_already_does_not_count_again(harness: TraceHarness) -> None:
    Process(harness).run((1, told(0)))
    # This one knows nothing of it.
    calls = Process(harness).run((2, told(0, "sent")))
    assert calls == ["get_item", *ONCE, "batch_get_item", *ONCE, "batch_write_item", "update_item"]
    assert harness.counters() == harness.timeline() == {"accepted": 1, "sent": 1}


def test_a_process_that_is_behind_asks_again(harness: TraceHarness) -> None:
    old, new = Process(harness), Process(harness)
    old.run((1, told(0)))
    new.run((2, told(100)))
    assert old.run((2, told(100)), (3, told(200))).count("get_item") == 1
    assert harness.counters() == harness.timeline() == {"accepted": 3}


def test_a_process_does_not_pass_over_what_another_has_set_aside(harness: TraceHarness) -> None:
    process, counters = Process(harness), Counters(harness.aws.dynamodb, "counters")
    process.run((1, told(0)))
    # The batch came to another process as well, for which the timeline refused an event.
    counters.note(SHARD, 1, None, aside=True)
    assert "get_item" in process.run((2, told(100)))
    assert harness.counters() == harness.timeline() == {"accepted": 2}


@pytest.mark.parametrize("size", [1, MAX_AT_ONCE + 1], ids=["at once", "counted first"])
def test_a_batch_that_another_process_counts_meanwhile_counts_once(harness: TraceHarness, size: int) -> None:
    process, other = Process(harness), Process(harness)
    process.run((1, told(0)))
    batch = (2, told(100, "sent", size=size))

    def late(call: Any) -> Any:
        other.run(batch)
        return call()

    process.client.instead["transact_write_items"] = late
    process.run(batch)
    assert harness.counters() == harness.timeline() == {"accepted": 1 + size, "sent": size}


def test_a_lost_answer_counts_once(harness: TraceHarness) -> None:
    process = Process(harness)
    process.run((1, told(0)))

    def lost(call: Any) -> None:
        call()
        raise ReadTimeoutError(endpoint_url="dynamodb")

    process.client.instead["transact_write_items"] = lost
    process.run((2, told(100, "sent")))
    assert harness.counters() == harness.timeline() == {"accepted": 2, "sent": 1}


def test_what_the_timeline_refuses_at_once_is_counted_and_then_put(harness: TraceHarness) -> None:
    process = Process(harness)
    process.run((1, told(0)))

    def refused(call: Any) -> None:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, "TransactWriteItems")

    process.client.instead["transact_write_items"] = refused
    assert process.run((2, told(100)))[-2:] == ["batch_write_item", "update_item"]
    assert harness.counters() == harness.timeline() == {"accepted": 2}


def test_it_may_die_at_every_call(harness: TraceHarness) -> None:
    batches = [[(2, told(100))], [(3, told(100, "sent")), (4, told(200))]]
    for at in range(1, 4):
        for after in (False, True):
            for table in ("timeline", "counters"):
                for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                    harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
            process = Process(harness)
            process.run((1, told(0)))
            process.client._client = Fragile(harness.aws.dynamodb, at, after)
            for batch in batches:
                try:
                    process.run(*batch)
                except Killed:
                    process = Process(harness)
                    process.run(*batch)
            assert harness.counters() == harness.timeline() == {"accepted": 3, "sent": 1}, (at, after)


def test_two_processes_may_share_a_shard_in_any_order(harness: TraceHarness) -> None:
    chance = random.Random(31)
    records = [(number, told(100 * (number // 2), *(["sent"] if number % 2 else []))) for number in range(2, 42)]
    processes, at = [Process(harness), Process(harness)], 0
    while at < len(records):
        # A batch may begin with what was done before, and be repeated.
        batch = records[max(0, at - chance.randrange(3)) : at + chance.randrange(1, 5)]
        for _ in range(chance.randrange(1, 3)):
            chance.choice(processes).run(*batch)
        at = batch[-1][0] - 1
    assert harness.counters() == harness.timeline() == Counter(accepted=20, sent=20)


def test_what_is_known_is_bounded(harness: TraceHarness) -> None:
    process = Process(harness)
    for number in range(3):
        process.run((number + 1, told(10_000 * number, size=MAX_EVENTS // 2)))
    known = process.aggregator._known
    assert len(known._events) == MAX_EVENTS and harness.counters() == {"accepted": 3 * MAX_EVENTS // 2}
