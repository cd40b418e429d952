"""Verifications in the guard table, over moto and in memory: of two at once one counts, and five tries are five."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from shared.errors import LostError
from shared.model.ids import TAG_LENGTH, Numbering, new_base
from shared.model.verifications import Address, State, Verification
from shared.policy.verifying import KEPT, MOST_CHECKS, Allowed, Result, Wanted, judge, start, status_of
from shared.store.verifications import Verifications
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.memory import tables

TAG = "0" * TAG_LENGTH
number = Numbering(new_base(1_736_935_200_000))


@pytest.fixture(params=["moto", "memory"])
def client(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Any]:
    if request.param == "moto":
        aws: Aws = request.getfixturevalue("aws")
        yield aws.dynamodb
    else:
        with tables(clock, "guard") as dynamodb:
            yield dynamodb


@pytest.fixture
def store(client: Any, clock: FakeClock) -> Verifications:
    return Verifications(client, "guard", clock)


def begin(store: Verifications, clock: FakeClock, n: int = 0, purpose: str = "login") -> Verification:
    before = store.load("default", TAG)
    now = clock.now_ms()
    asked = Wanted(
        id=number(n) + TAG,
        message_id=number(n) + TAG,
        purpose=purpose,
        template="code",
        version=1,
        channel="sms",
        kind="live",
        length=6,
        minutes=10,
        bind=None,
        prefix="8613800",
    )
    after = start(before, asked, now, Allowed(0, 0, None))
    store.save("default", TAG, before, after)
    return after.verifications[-1]


def check(store: Verifications, clock: FakeClock, id: str, *, right: bool) -> Result:
    """As the function does it."""
    found = store.load("default", TAG).find(id)
    assert found is not None
    return decide(store, clock, found, right=right)


def decide(store: Verifications, clock: FakeClock, found: Verification, *, right: bool) -> Result:
    """What a check does that has read a verification, however long ago."""
    id = found.id
    judged = judge(found, right, clock.now_ms())
    if judged.result is Result.WRONG:
        there = store.count_wrong("default", TAG, found)
    elif judged.result is Result.APPROVED:
        there = store.approve("default", TAG, found, clock.now_ms())
    else:
        return judged.result
    if there is None:
        return judged.result
    as_it_is = there.find(id)
    assert as_it_is is not None
    over = status_of(as_it_is, clock.now_ms())
    assert over is not None
    return over


def test_what_is_saved_is_loaded(store: Verifications, clock: FakeClock) -> None:
    assert store.load("default", TAG) == Address()
    found = begin(store, clock)
    assert store.load("default", TAG).find(found.id) == found
    assert store.load("other", TAG) == Address()


def test_checks_are_counted_beside_what_starts_write(store: Verifications, clock: FakeClock) -> None:
    found = begin(store, clock)
    assert check(store, clock, found.id, right=False) is Result.WRONG
    again = begin(store, clock, 1)
    assert again.id == found.id and again.checks == 1
    assert store.load("default", TAG).find(found.id) == again
    assert check(store, clock, found.id, right=True) is Result.APPROVED
    assert check(store, clock, found.id, right=True) is Result.USED
    kept = store.load("default", TAG).find(found.id)
    assert kept is not None and kept.state is State.APPROVED and kept.decided_at == clock.now_ms()


def test_a_cancelled_one_is_cancelled_once(store: Verifications, clock: FakeClock) -> None:
    found = begin(store, clock)
    assert store.cancel("default", TAG, found, clock.now_ms()) is None
    assert store.cancel("default", TAG, found, clock.now_ms()) is not None
    assert check(store, clock, found.id, right=True) is Result.CANCELLED


def test_who_comes_second_starts_again(store: Verifications, clock: FakeClock) -> None:
    before = store.load("default", TAG)
    begin(store, clock)
    found = begin(store, clock, 1, purpose="other")
    with pytest.raises(LostError):
        store.save("default", TAG, before, replace(before, revision=1, verifications=(found,)))
    assert len(store.load("default", TAG).verifications) == 2


def test_what_was_approved_meanwhile_is_not_sent_again(store: Verifications, clock: FakeClock) -> None:
    found = begin(store, clock)
    before = store.load("default", TAG)
    assert check(store, clock, found.id, right=True) is Result.APPROVED
    with pytest.raises(LostError):
        store.save("default", TAG, before, replace(before, revision=before.revision + 1))


def test_a_write_whose_answer_was_lost_is_found_done(store: Verifications, clock: FakeClock) -> None:
    before = store.load("default", TAG)
    begin(store, clock)
    after = store.load("default", TAG)
    store.save("default", TAG, before, after)
    assert store.load("default", TAG) == after


def test_nothing_is_left_of_what_is_forgotten(store: Verifications, clock: FakeClock, client: Any) -> None:
    first = begin(store, clock)
    check(store, clock, first.id, right=False)
    for n in range(KEPT + 5):
        begin(store, clock, n + 1, purpose=f"p{n}")
    item = client.get_item(TableName="guard", Key={"pk": {"S": f"verification#default#{TAG}"}, "sk": {"S": "state"}})
    assert not [name for name in item["Item"] if first.id in name]
    assert len([name for name in item["Item"] if name.startswith("s_")]) == KEPT


def test_a_thousand_guessers_have_five_tries(clock: FakeClock) -> None:
    with tables(clock, "guard") as dynamodb:
        store = Verifications(dynamodb, "guard", clock)
        found = begin(store, clock)
        with ThreadPoolExecutor(32) as pool:
            # All have read it before the first one writes.
            results = Counter(pool.map(lambda _: decide(store, clock, found, right=False), range(1000)))
        assert results == {Result.WRONG: MOST_CHECKS, Result.LOCKED: 1000 - MOST_CHECKS}
        assert check(store, clock, found.id, right=True) is Result.LOCKED


def test_two_right_checks_at_once_approve_once(clock: FakeClock, request: pytest.FixtureRequest) -> None:
    races = 10_000 if request.config.getoption("--whole") else 500
    with tables(clock, "guard") as dynamodb, ThreadPoolExecutor(2) as pool:
        store = Verifications(dynamodb, "guard", clock)
        both = threading.Barrier(2)

        def race(id: str) -> Result:
            found = store.load("default", TAG).find(id)
            assert found is not None
            # Both have read it before one of them writes.
            both.wait()
            return decide(store, clock, found, right=True)

        for n in range(races):
            found = begin(store, clock, n, purpose=f"p{n}")
            results = list(pool.map(race, [found.id, found.id]))
            assert sorted(results) == [Result.APPROVED, Result.USED]


def test_an_approval_is_counted_by_the_write_that_approves(store: Verifications, client: Any, clock: FakeClock) -> None:
    found = begin(store, clock)
    assert check(store, clock, found.id, right=True) is Result.APPROVED
    assert check(store, clock, found.id, right=True) is Result.USED
    assert counted(client) == {"a": 1, "a8": 1, "a80": 1, "a800": 1}


def test_what_cannot_be_counted_is_approved_all_the_same(
    store: Verifications, client: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, told = [], []

    def meets(**asked: Any) -> Any:
        tried.append(asked)
        reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
        answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise client.exceptions.TransactionCanceledException(answer, "TransactWriteItems")

    found = begin(store, clock)
    monkeypatch.setattr(store._client, "transact_write_items", meets)
    assert store.approve("default", TAG, found, clock.now_ms(), lambda: told.append(1)) is None
    assert (len(tried), told) == (4, [1])
    kept = store.load("default", TAG).find(found.id)
    assert kept is not None and kept.state is State.APPROVED
    assert counted(client) == {}


def counted(client: Any) -> dict[str, int]:
    """The approvals that the guard against pumping knows of."""
    items = client.scan(TableName="guard")["Items"]
    return {
        name: int(value["N"])
        for item in items
        if item["pk"]["S"].startswith("pumping#")
        for name, value in item.items()
        if name.startswith("a")
    }
