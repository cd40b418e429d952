"""What the guard against SMS pumping keeps, over moto and in memory: exact with many at once, summed up by hours."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import LostError
from shared.model.audit import AuditRecord, record_change
from shared.model.pumping import Figures, PrefixState, Rule, Usual, suffixes_of
from shared.policy.pumping import HOUR_MS, MINUTE_MS
from shared.store.pumping import Pumping, approval
from shared.store.pumping_hours import PumpingHours
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.memory import tables

DIGITS = "628123456789"


@pytest.fixture(params=["moto", "memory"])
def client(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Any]:
    if request.param == "moto":
        aws: Aws = request.getfixturevalue("aws")
        yield aws.dynamodb
    else:
        with tables(clock, "guard", "catalog") as dynamodb:
            yield dynamodb


@pytest.fixture
def store(client: Any, clock: FakeClock) -> Pumping:
    return Pumping(client, "guard", "catalog", clock)


@pytest.fixture
def hours(client: Any, clock: FakeClock, store: Pumping) -> PumpingHours:
    return PumpingHours(client, "guard", store, clock)


def approve(client: Any, clock: FakeClock, started_at: int, count: int = 1) -> None:
    update = approval("guard", "default", DIGITS[:7], started_at, count, clock.now_ms())
    client.transact_write_items(TransactItems=[update])


def record(clock: FakeClock, target: str = "verification-guard/prefix/62") -> AuditRecord:
    return record_change(clock.now_ms(), "default", "pumping-guard", "hold_prefix", target, None, {"state": "held"})


def records(client: Any) -> int:
    return sum(item["pk"]["S"].startswith("audit#") for item in client.scan(TableName="catalog")["Items"])


def test_a_start_is_counted_for_each_prefix_and_told_exactly(store: Pumping, clock: FakeClock) -> None:
    now = clock.now_ms()
    assert store.start("default", DIGITS, now) == dict.fromkeys(suffixes_of(DIGITS), 1)
    assert store.start("default", "62819990000", now) == {"": 2, "9": 1, "99": 1, "999": 1}
    assert store.start("other", DIGITS, now) == dict.fromkeys(suffixes_of(DIGITS), 1)
    found = store.recent("default", "6281", now).started[now // MINUTE_MS]
    assert found == {"": 2, "2": 1, "23": 1, "234": 1, "9": 1, "99": 1, "999": 1}


def test_many_at_once_are_counted_exactly(store: Pumping, client: Any, clock: FakeClock) -> None:
    now = clock.now_ms()
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: store.start("default", DIGITS, now)[""], range(40)))
        list(pool.map(lambda n: approve(client, clock, now + n), range(20)))
    assert sorted(told) == list(range(1, 41))
    found = store.recent("default", "6281", now)
    assert found.started[now // MINUTE_MS]["234"] == 40 and found.approved[now // MINUTE_MS]["234"] == 20


def test_who_is_refused_is_no_start(store: Pumping, clock: FakeClock) -> None:
    now = clock.now_ms()
    store.start("default", DIGITS, now)
    store.refuse("default", DIGITS, now, counted=now)
    store.refuse("default", DIGITS, now)
    found = store.recent("default", "6281", now)
    assert found.started[now // MINUTE_MS]["234"] == 0 and found.refused[now // MINUTE_MS]["234"] == 2


def test_an_approval_counts_in_the_minute_of_its_start_with_all_its_texts(
    store: Pumping, client: Any, clock: FakeClock
) -> None:
    started_at = clock.now_ms()
    clock.advance(600)
    approve(client, clock, started_at, 3)
    assert store.recent("default", "6281", clock.now_ms()).approved == {
        started_at // MINUTE_MS: dict.fromkeys(suffixes_of(DIGITS), 3)
    }
    clock.advance(3600)
    assert store.recent("default", "6281", clock.now_ms()).approved == {}


def test_a_rule_and_its_record_are_written_together_or_not_at_all(
    store: Pumping, client: Any, clock: FakeClock
) -> None:
    figures = Figures("hour", 33, 0, 21, 0)
    rule = Rule(prefix="62812", state=PrefixState.HELD, since=clock.now_ms(), until=clock.now_ms() + 1, figures=figures)
    store.change("default", None, rule, record(clock))
    assert store.overview("default").rules == {"62812": rule}
    with pytest.raises(LostError):
        store.change("default", None, rule, record(clock))
    # As it is read, it can be replaced: numbers read from JSON are written in another way.
    read = store.overview("default").rules["62812"]
    later = Rule(prefix="62812", state=PrefixState.TRIAL, since=clock.now_ms() + 5)
    store.change("default", read, later, record(clock))
    with pytest.raises(LostError):
        store.change("default", read, None, record(clock))
    assert records(client) == 2
    store.change("default", later, None, record(clock))
    assert store.overview("default").rules == {} and records(client) == 3


def test_of_many_that_hold_a_prefix_one_does(store: Pumping, client: Any, clock: FakeClock) -> None:
    def hold(n: int) -> bool:
        try:
            rule = Rule(prefix="62812", state=PrefixState.HELD, since=clock.now_ms() + n)
            store.change("default", None, rule, record(clock))
        except LostError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hold, range(16))) == 1
    assert records(client) == 1


def test_a_country_is_noted_once(store: Pumping, client: Any, clock: FakeClock) -> None:
    store.admit("default", "ID", record(clock, "verification-guard/country/ID"))
    with pytest.raises(LostError):
        store.admit("default", "ID", record(clock, "verification-guard/country/ID"))
    assert store.overview("default").countries == {"ID"} and records(client) == 1


def test_starts_with_a_bind_count_by_the_hour(store: Pumping, clock: FakeClock) -> None:
    now = clock.now_ms()
    assert [store.bound("default", "d1", now) for _ in range(3)] == [1, 2, 3]
    assert store.bound("default", "d2", now) == 1
    assert store.bound("default", "d1", now + HOUR_MS) == 1


def test_hours_are_summed_up_once_and_say_what_is_usual(
    store: Pumping, hours: PumpingHours, client: Any, clock: FakeClock
) -> None:
    begun = clock.now_ms()
    for day in range(8):
        for n in range(3 + day % 3):
            store.start("default", DIGITS, clock.now_ms() + 1000 * n)
        approve(client, clock, clock.now_ms())
        table = hours.roll("default", "6281", "ID", clock.now_ms())
        assert hours.roll("default", "6281", "ID", clock.now_ms()) is None
        assert (table is not None and table.of("234").hour > 0) is (day > 0)
        clock.advance(3600)
        assert hours.roll("default", "6281", "ID", clock.now_ms()) is not None
        clock.advance(23 * 3600)
    table = hours.roll("default", "6281", "ID", clock.now_ms())
    # The days had 3, 4, 5, 3, 4, 5, 3 and 4: of the last seven the fourth.
    assert table is not None and table.of("234") == Usual(4, 4, 4, 1)
    assert store.recent("default", "6281", clock.now_ms()).usual == table
    seen = store.overview("default").seen["6281"]
    assert (seen.country, seen.hour) == ("ID", clock.now_ms() // HOUR_MS)
    assert begun < clock.now_ms()


def test_who_sums_up_and_fails_leaves_it_to_the_next(hours: PumpingHours, store: Pumping, clock: FakeClock) -> None:
    store.start("default", DIGITS, clock.now_ms())
    hours.roll("default", "6281", "ID", clock.now_ms())
    clock.advance(3600)
    assert hours._claim("default", "6281", clock.now_ms() // HOUR_MS, clock.now_ms()) is not None
    assert hours.roll("default", "6281", "ID", clock.now_ms()) is None
    clock.advance(61)
    table = hours.roll("default", "6281", "ID", clock.now_ms())
    assert table is not None and table.of("").day_started == 1
