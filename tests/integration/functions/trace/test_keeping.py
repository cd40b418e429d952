"""What is counted is kept, whatever the timeline refuses and whatever the event source mapping gives up."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.trace import aggregate, keeping
from shared.model.events import StreamRecord, accepted_rows, record_of
from shared.store.counters import Counters
from shared.store.dynamo import StoreError
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import Fragile, Killed, TraceHarness, rows
from tests.memory import tables
from tests.samples import envelope

Refuses = Callable[[str], bool]
"""Whether the timeline refuses to write an item, by its sort key."""


class Refusing:
    """A client whose batches are refused as a whole when one item of the timeline in them is."""

    def __init__(self, client: Any, refuses: Refuses) -> None:
        self._client, self.refuses, self.exceptions = client, refuses, client.exceptions
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, RequestItems: Any) -> Any:
        self.writes += 1
        for request in RequestItems.get("timeline", ()):
            if self.refuses(request["PutRequest"]["Item"]["sk"]["S"]):
                raise ClientError({"Error": {"Code": "ValidationException", "Message": "no"}}, "BatchWriteItem")
        return self._client.batch_write_item(RequestItems=RequestItems)


def everything(sk: str) -> bool:
    return True


@pytest.fixture
def harness(aws: Aws, clock: FakeClock) -> Iterator[TraceHarness]:
    made = TraceHarness(aws, clock)
    # Faster, and no client can tell.
    with tables(clock, "timeline", "counters"):
        yield made


@pytest.fixture(autouse=True)
def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few they are, events are put after they were counted."""
    monkeypatch.setattr(aggregate, "MAX_AT_ONCE", -1)


@pytest.fixture
def nothing_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_ASIDE", 0)


def told(start: int = 0, size: int = 3) -> StreamRecord:
    one = envelope(size, start=start)
    return record_of(one, accepted_rows(one) + rows(one, "sent"))


def given_up(harness: TraceHarness, records: list[tuple[int, StreamRecord]], shard: str = "shardId-0") -> None:
    """A batch is counted, and not kept however often it comes again."""
    for _ in range(3):
        with pytest.raises(StoreError):
            harness.aggregate(records, Refusing(harness.aws.dynamodb, everything), shard)
    assert harness.counters() and not harness.timeline()


def progress(harness: TraceHarness, shard: str = "shardId-0") -> Any:
    return Counters(harness.aws.dynamodb, "counters").progress(f"events/{shard}")


def test_what_a_given_up_batch_counted_is_kept_before_anything_else_is_counted(
    harness: TraceHarness, nothing_aside: None
) -> None:
    given_up(harness, [(5, told()), (7, told(100)), (8, told(200))])
    # The watch, or a dispatcher, tells one of them again, and others come with it.
    harness.aggregate([(20, told(100)), (21, told(300))])
    assert harness.counters() == harness.timeline() == {"accepted": 12, "sent": 12}
    assert progress(harness).unkept_from is None and harness.kinesis.reads == 1
    # Nothing is read again.
    harness.aggregate([(22, told(400))])
    assert harness.kinesis.reads == 1


def test_nothing_is_counted_beyond_what_cannot_be_kept(harness: TraceHarness, nothing_aside: None) -> None:
    given_up(harness, [(5, told())])
    before = harness.counters()
    for sequence in (6, 7):
        with pytest.raises(StoreError):
            harness.aggregate([(sequence, told(100))], Refusing(harness.aws.dynamodb, everything))
    assert harness.counters() == before
    # Of those that were given up without being counted, the watch puts the records on the stream again.
    harness.aggregate([(8, told(100))])
    assert harness.counters() == harness.timeline() == {"accepted": 6, "sent": 6}


def test_a_shard_that_takes_anothers_place_keeps_first_what_that_one_counted(
    harness: TraceHarness, nothing_aside: None
) -> None:
    given_up(harness, [(5, told()), (6, told(100))], "shardId-0")
    # The one between them got no records.
    harness.kinesis.parents = {"shardId-1": "shardId-0", "shardId-2": "shardId-1"}
    harness.aggregate([(90, told()), (91, told(200))], shard="shardId-2")
    assert harness.counters() == harness.timeline() == {"accepted": 9, "sent": 9}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_given_up_batch_may_come_in_parts(harness: TraceHarness, nothing_aside: None, size: int) -> None:
    records = [(5 + 2 * k, told(100 * k, 1)) for k in range(6)]
    given_up(harness, records)
    # The mapping splits it; parts of it are given up all the same.
    for start in range(0, len(records), size):
        if (start // size) % 2:
            with pytest.raises(StoreError):
                harness.aggregate(records[start : start + size], Refusing(harness.aws.dynamodb, everything))
        else:
            harness.aggregate(records[start : start + size])
    harness.aggregate([(100, told(900, 1))])
    assert harness.counters() == harness.timeline() == {"accepted": 7, "sent": 7}


def test_an_item_that_is_refused_for_ever_holds_up_nothing(harness: TraceHarness) -> None:
    # An envelope has the id of its first recipient.
    poison = told(100).envelope
    client = Refusing(harness.aws.dynamodb, lambda sk: sk.startswith(poison) and sk.endswith("#sent#0"))
    harness.aggregate([(5, told()), (6, told(100)), (7, told(200))], client)
    assert harness.counters() == {"accepted": 9, "sent": 9}
    assert harness.timeline() == {"accepted": 9, "sent": 8}
    # A copy of it is known.
    harness.aggregate([(8, told(100)), (9, told(300))], client)
    assert harness.counters() == {"accepted": 12, "sent": 12}
    # As soon as it is taken, it is kept, and nothing is left.
    harness.aggregate([(10, told(400))])
    assert harness.counters() == harness.timeline() == {"accepted": 15, "sent": 15}
    assert progress(harness).aside is False
    assert not Counters(harness.aws.dynamodb, "counters").aside("events")


def test_what_is_set_aside_is_known_to_the_shard_that_takes_anothers_place(harness: TraceHarness) -> None:
    client = Refusing(harness.aws.dynamodb, everything)
    harness.aggregate([(5, told())], client, "shardId-0")
    assert harness.counters() == {"accepted": 3, "sent": 3} and not harness.timeline()
    harness.kinesis.parents = {"shardId-1": "shardId-0"}
    harness.aggregate([(90, told())], client, "shardId-1")
    assert harness.counters() == {"accepted": 3, "sent": 3} and not harness.timeline()
    harness.aggregate([(91, told())], shard="shardId-1")
    assert harness.counters() == harness.timeline() == {"accepted": 3, "sent": 3}


def test_while_the_timeline_takes_nothing_little_is_asked_of_it(harness: TraceHarness) -> None:
    client = Refusing(harness.aws.dynamodb, everything)
    with pytest.raises(StoreError):
        harness.aggregate([(k, told(100 * k, 90)) for k in range(20)], client)
    assert client.writes < 60


def test_what_the_stream_has_forgotten_holds_up_nothing(harness: TraceHarness, nothing_aside: None) -> None:
    given_up(harness, [(5, told())])
    harness.kinesis.shards.clear()
    harness.aggregate([(20, told(100))])
    assert harness.counters() == {"accepted": 6, "sent": 6} and harness.timeline() == {"accepted": 3, "sent": 3}
    assert progress(harness).unkept_from is None


@pytest.mark.parametrize("most", [0, 100])
def test_it_may_die_at_every_call_while_it_keeps_what_was_left(
    harness: TraceHarness, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    def until_left() -> None:
        for table in ("timeline", "counters"):
            for item in harness.aws.dynamodb.scan(TableName=table)["Items"]:
                harness.aws.dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        harness.kinesis.shards.clear()
        monkeypatch.setattr(keeping, "MAX_ASIDE", most)
        try:
            harness.aggregate([(5, told()), (6, told(100))], Refusing(harness.aws.dynamodb, everything))
        except StoreError:
            assert most == 0

    batch = [(20, told(100)), (21, told(200))]
    until_left()
    counting = Fragile(harness.aws.dynamodb)
    harness.aggregate(batch, counting)
    assert counting.calls >= 6
    for at in range(1, counting.calls + 1):
        for after in (False, True):
            until_left()
            with pytest.raises(Killed):
                harness.aggregate(batch, Fragile(harness.aws.dynamodb, at, after))
            harness.aggregate(batch)
            harness.aggregate([(30, told())])
            assert harness.counters() == harness.timeline() == Counter({"accepted": 9, "sent": 9}), (at, after)


def said(took_ms: int) -> StreamRecord:
    """That a message was delivered: by its carrier or by its device, which say it differently."""
    one = envelope(1)
    return record_of(one, rows(one, "delivered", took_ms=took_ms))


def kept_took(harness: TraceHarness) -> int | None:
    [message_id] = [id for id, _ in said(1).message_ids()]
    [event] = harness.parts().timeline.events("default", message_id)
    return event.took_ms


def test_what_is_kept_stays_though_a_batch_that_died_says_it_differently(harness: TraceHarness) -> None:
    harness.aggregate([(1, said(4))])
    # It dies once the checkpoint has passed the second, which therefore is not looked for any more.
    with pytest.raises(Killed):
        harness.aggregate([(2, said(4000))], Fragile(harness.aws.dynamodb, at=3, after=True))
    assert harness.parts().counters.checkpoint("events/shardId-0") == 2
    harness.aggregate([(2, said(4000))])
    assert kept_took(harness) == 4 and harness.counters("default#template#welcome")["delivered@8"] == 1


def test_what_is_kept_stays_though_a_batch_that_was_given_up_says_it_differently(harness: TraceHarness) -> None:
    harness.aggregate([(1, said(4))])
    with pytest.raises(Killed):
        harness.aggregate([(2, said(4000))], Fragile(harness.aws.dynamodb, at=3, after=True))
    harness.aggregate([(3, told(start=50))])
    assert kept_took(harness) == 4
