"""The ledger over DynamoDB: every write is conditional, and a write whose answer was lost knows itself."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from shared.model.events import EventRow
from shared.store.ledger import TTL_S, Entry, HeldError, Ledger, Mark
from tests.conftest import Aws
from tests.fakes import FakeClock, out_of_reach

ID = "01JZ0000000000000000000000"
SENT: EventRow = EventRow(index=0, tag="T" * 16, stage="sent", nth=0, at=5, account="main", provider_id="p")
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


def test_who_takes_over_sees_what_an_owner_did_that_was_taken_for_dead(ledger: Ledger) -> None:
    ledger.acquire(ID, FIRST)
    seen = ledger.read(ID)
    # Its clock went wrong, or it was held up: it goes on after its lease has ended.
    alive = replace(FIRST, rows=[SENT], flight={"main": [2, 3]})
    assert ledger.record(ID, alive) is None
    assert seen is not None
    there = ledger.take_over(ID, seen, Entry("two", 9000))
    assert there == alive
    assert ledger.take_over(ID, there, Entry("two", 9000, rows=[SENT])) is None
    with pytest.raises(HeldError):
        ledger.record(ID, replace(alive, flight={}))


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
    count = lambda model, **_: requests.append(model.name)  # noqa: E731 - a name for what the hook asks
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


MARK = Mark(7, "key")


def test_a_mark_alone_is_found_by_who_acquires(ledger: Ledger) -> None:
    marked = ledger.mark(ID, {0: MARK, 1: MARK}, 0, None)
    assert marked == Entry("", 0, recalled={0: MARK, 1: MARK}) == ledger.read(ID)
    assert ledger.acquire(ID, FIRST) == marked
    assert ledger.acquire_all({ID: FIRST, "other": FIRST}) == {ID: marked, "other": None}
    # It is opened by who has seen the mark, once, and keeps it.
    with_mark = replace(FIRST, recalled=marked.recalled)
    assert ledger.take_over(ID, marked, with_mark) is None
    assert ledger.read(ID) == with_mark
    with pytest.raises(HeldError):
        ledger.take_over(ID, marked, replace(with_mark, owner="two"))


def test_no_write_gets_past_a_mark_that_it_does_not_know(ledger: Ledger) -> None:
    ledger.acquire(ID, FIRST)
    assert ledger.mark(ID, {1: MARK}, 0, None) == replace(FIRST, recalled={1: MARK})
    mine = replace(FIRST, rows=[SENT])
    there = ledger.record(ID, mine)
    assert there == replace(FIRST, recalled={1: MARK})
    assert ledger.record(ID, replace(mine, recalled={1: MARK})) is None
    entry = ledger.read(ID)
    assert entry is not None and (entry.rows, entry.recalled) == ([SENT], {1: MARK})
    # The same for who takes over.
    there = ledger.take_over(ID, mine, Entry("two", 9000))
    assert there is not None and there.recalled == {1: MARK}
    assert ledger.take_over(ID, there, Entry("two", 9000, recalled=there.recalled)) is None


def test_a_repeated_write_knows_itself_although_a_mark_came_in_between(ledger: Ledger) -> None:
    assert ledger.acquire(ID, FIRST) is None
    ledger.mark(ID, {0: MARK}, 0, None)
    # Its first answer was lost: the mark came after it, and is met by the next write.
    assert ledger.acquire(ID, FIRST) is None
    assert ledger.record(ID, replace(FIRST, rows=[SENT])) is not None


def test_marks_add_up_and_the_first_one_of_a_recipient_stays(ledger: Ledger) -> None:
    ledger.mark(ID, {0: MARK, 12: MARK}, 0, None)
    later = Mark(9, "another")
    # Who knows nothing of the first marks is told of them.
    assert ledger.mark(ID, {0: later, 3: later}, 0, None).recalled == {0: MARK, 3: later, 12: MARK}
    seen = ledger.read(ID)
    assert ledger.mark(ID, {3: MARK}, 0, seen) is seen


def test_a_closed_ledger_takes_no_mark(ledger: Ledger, client: Any) -> None:
    closed = replace(FIRST, rows=[SENT], flight={}, closed=True)
    ledger.acquire(ID, closed)
    assert ledger.mark(ID, {0: MARK}, 0, None) == closed
    assert ledger.mark(ID, {0: MARK}, 0, FIRST) == closed
    [item] = client.scan(TableName="guard")["Items"]
    assert "recalled" not in item


def test_a_mark_outlasts_every_redelivery_of_what_is_due_later(client: Any, ledger: Ledger, clock: FakeClock) -> None:
    due = clock.now_ms() + 365 * 86_400_000
    ledger.mark(ID, {0: MARK}, due, None)
    [item] = client.scan(TableName="guard")["Items"]
    assert int(item["ttl"]["N"]) == due // 1000 + TTL_S


def test_the_item_outlasts_any_redelivery(client: Any, ledger: Ledger, clock: FakeClock) -> None:
    ledger.acquire(ID, FIRST)
    [item] = client.scan(TableName="guard")["Items"]
    assert int(item["ttl"]["N"]) == clock.now_ms() // 1000 + TTL_S
    assert TTL_S > 14 * 86400


def test_other_errors_are_not_taken_for_a_rival(ledger: Ledger, client: Any) -> None:
    client.delete_table(TableName="guard")
    with pytest.raises(ClientError):
        ledger.acquire(ID, FIRST)


class Moody:
    """A client whose calls fail as told: the n-th of an operation before it is done (`refused`) or after (`lost`)."""

    def __init__(self, client: Any, fates: dict[str, list[str]]) -> None:
        self._client, self._fates, self.exceptions = client, fates, client.exceptions

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            fate = self._fates.get(name) and self._fates[name].pop(0)
            if fate == "refused":
                raise out_of_reach("dynamodb")
            answer = operation(**arguments)
            if fate == "lost":
                raise out_of_reach("dynamodb")
            return answer

        return call


@pytest.mark.parametrize("fate", ["refused", "lost"])
def test_each_is_asked_for_when_a_transaction_has_no_answer(client: Any, clock: FakeClock, fate: str) -> None:
    ledger = Ledger(Moody(client, {"transact_write_items": [fate]}), "guard", clock)
    entries = {id: Entry(id, 5000, flight={"main": [0]}) for id in "abc"}
    assert ledger.acquire_all(entries) == dict.fromkeys(entries)
    assert ledger.read_all("abc") == entries


@pytest.mark.parametrize("fate", ["refused", "lost"])
def test_who_was_acquired_is_told_though_another_was_not(client: Any, clock: FakeClock, fate: str) -> None:
    moods = {"transact_write_items": ["refused"], "update_item": ["", fate]}
    ledger = Ledger(Moody(client, moods), "guard", clock)
    entries = {id: Entry(id, 5000, flight={"main": [0]}) for id in "abc"}
    assert ledger.acquire_all(entries) == {"a": None}
    # Asked again with the same entry, it is ours whether the first write was done or not.
    assert ledger.acquire("b", entries["b"]) is None
    assert ledger.read("b") == entries["b"]
