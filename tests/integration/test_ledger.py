"""The ledger over DynamoDB: every write is conditional, and a write whose answer was lost knows itself."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.model.events import EventRow
from shared.store.ledger import TTL_S, Entry, HeldError, Ledger
from tests.conftest import Aws
from tests.fakes import FakeClock

ID = "01JZ0000000000000000000000"
SENT: EventRow = {"i": 0, "tag": "T" * 16, "s": "sent", "n": 0, "at": 5, "acc": "main", "pid": "p"}
FIRST = Entry("one", 1000, [], {"main": [0, 1], "spare": [7]})


@pytest.fixture
def client(aws: Aws) -> Any:
    return aws.client("dynamodb")


@pytest.fixture
def ledger(client: Any, clock: FakeClock) -> Ledger:
    return Ledger(client, "guard", clock)


def test_the_first_one_acquires_and_the_second_sees_its_entry(ledger: Ledger) -> None:
    assert ledger.acquire(ID, FIRST) is None
    assert ledger.acquire(ID, Entry("two", 2000)) == FIRST
    assert ledger.read(ID) == FIRST
    assert ledger.read("other") is None


def test_a_repeated_write_knows_itself(ledger: Ledger) -> None:
    assert ledger.acquire(ID, FIRST) is None
    assert ledger.acquire(ID, FIRST) is None
    closed = replace(FIRST, rows=[SENT], flight={}, closed=True)
    ledger.record(ID, closed)
    ledger.record(ID, closed)
    assert ledger.read(ID) == closed


def test_only_the_owner_records(ledger: Ledger) -> None:
    ledger.acquire(ID, FIRST)
    with pytest.raises(HeldError):
        ledger.record(ID, replace(FIRST, owner="two"))
    ledger.record(ID, replace(FIRST, rows=[SENT], flight={"main": [1]}))
    entry = ledger.read(ID)
    assert entry is not None and entry.rows == [SENT] and entry.flight == {"main": [1]}


def test_one_of_two_takes_over_and_the_old_owner_is_out(ledger: Ledger) -> None:
    ledger.acquire(ID, FIRST)
    ledger.take_over(ID, FIRST, Entry("two", 3000))
    with pytest.raises(HeldError):
        ledger.take_over(ID, FIRST, Entry("three", 3000))
    with pytest.raises(HeldError):
        ledger.record(ID, replace(FIRST, rows=[SENT]))
    entry = ledger.read(ID)
    assert entry is not None and (entry.owner, entry.rows) == ("two", [])


def test_a_closed_ledger_stays_as_it_is(ledger: Ledger) -> None:
    closed = replace(FIRST, rows=[SENT], flight={}, closed=True)
    ledger.acquire(ID, closed)
    with pytest.raises(HeldError):
        ledger.take_over(ID, closed, Entry("two", 9000))
    with pytest.raises(HeldError):
        ledger.record(ID, replace(closed, rows=[]))
    assert ledger.acquire(ID, Entry("two", 9000)) == closed


def test_several_are_acquired_in_one_request(ledger: Ledger, client: Any) -> None:
    entries = {f"{ID}-{i}": replace(FIRST, owner=str(i)) for i in range(10)}
    requests: list[str] = []
    count = lambda model, **_: requests.append(model.name)  # noqa: E731
    client.meta.events.register("before-call.dynamodb", count)
    try:
        assert ledger.acquire_all(entries) == dict.fromkeys(entries)
    finally:
        client.meta.events.unregister("before-call.dynamodb", count)
    assert requests == ["TransactWriteItems"]
    assert all(ledger.read(id) == entry for id, entry in entries.items())


def test_one_that_is_known_does_not_keep_the_others_back(ledger: Ledger) -> None:
    ledger.acquire("b", FIRST)
    entries = {id: Entry(id, 5000) for id in "abc"}
    assert ledger.acquire_all(entries) == {"a": None, "b": FIRST, "c": None}
    assert ledger.read("c") == Entry("c", 5000)


def test_the_item_outlasts_any_redelivery(client: Any, ledger: Ledger, clock: FakeClock) -> None:
    ledger.acquire(ID, FIRST)
    [item] = client.scan(TableName="guard")["Items"]
    assert int(item["ttl"]["N"]) == clock.now_ms() // 1000 + TTL_S
    assert TTL_S > 14 * 86400


def test_other_errors_are_not_taken_for_a_rival(ledger: Ledger, client: Any) -> None:
    client.delete_table(TableName="guard")
    with pytest.raises(ClientError):
        ledger.acquire(ID, FIRST)
