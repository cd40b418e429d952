"""Places in rates over a table in memory: right however many functions take them at once, and cheap."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.model.accounts import Rate
from shared.policy.rates import DAY, Lanes, lanes_of
from shared.providers.wecom.app.provider import MEMBER
from shared.store.rates import Rates as Store
from shared.store.rates import RatesBusyError
from tests.fakes import FakeClock
from tests.memory import tables
from tests.rates import most_within
from tests.samples import NOW

ACCOUNT = ("default", "main")
DAY_MS = DAY // 1000


@dataclass
class Counting:
    """A client that counts its requests."""

    client: Any
    names: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        if name != "exceptions":
            self.names.append(name)
        return getattr(self.client, name)


@pytest.fixture
def client(clock: FakeClock) -> Iterator[Counting]:
    with tables(clock, "guard") as found:
        yield Counting(found)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def store(client: Counting, clock: FakeClock) -> Store:
    return Store(client, "guard", clock)


def reserve(one: Store, lanes: Lanes, wanted: int, codes: bool = False, until: int | None = None) -> list[int]:
    return one.reserve(*ACCOUNT, lanes, wanted, until, codes).starts


@pytest.mark.parametrize(("rate", "batch"), [
    (Rate(per_second=200, burst=20), 40),
    (Rate(per_second=14, burst=14), 10),
    (Rate(per_second=3000, burst=1, code_share=0), 300),
    (Rate(per_second=0.25, burst=5, code_share=0), 1),
])  # fmt: skip
def test_fifty_functions_at_once_keep_the_rate_and_use_it(
    client: Counting, clock: FakeClock, rate: Rate, batch: int
) -> None:
    lanes, chance = lanes_of(rate), random.Random(7)
    functions = [store(client, clock) for _ in range(50)]
    found: list[int] = []
    seconds = max(60.0, 60 * batch / rate.per_second)
    ticks = 20
    with ThreadPoolExecutor(50) as pool:
        for _ in range(ticks):
            # Never less is asked for than the rate gives.
            asks = [(one, chance.randint(batch, 2 * batch), chance.random() < 0.1) for one in functions]
            asks += [(one, max(1, batch // 5), True) for one in functions[:25]]
            for places in pool.map(lambda ask: reserve(ask[0], lanes, ask[1], ask[2]), asks):
                found += places
            clock.advance(seconds / ticks)
    for window in (0, 0.5, 1, 10, 60, 600):
        assert most_within(found, window) <= rate.burst + rate.per_second * (window + 0.001)
    used = sum(time < NOW + seconds * 1000 for time in found)
    assert used >= 0.97 * rate.per_second * seconds


def test_a_code_never_waits_for_a_campaign(client: Counting, clock: FakeClock) -> None:
    lanes, campaign, codes = lanes_of(Rate(per_second=100, burst=100)), store(client, clock), store(client, clock)
    for _ in range(1000):
        reserve(campaign, lanes, 1000)
    assert reserve(campaign, lanes, 1)[0] > NOW + 10_000_000
    waits = []
    for _ in range(300):
        # Half of what is kept for codes.
        waits.append(reserve(codes, lanes, 1, codes=True)[0] - clock.now_ms())
        clock.advance(0.2)
    assert max(waits) == 0


def test_codes_beyond_their_share_wait_in_their_own_lane(client: Counting, clock: FakeClock) -> None:
    lanes, one = lanes_of(Rate(per_second=10, burst=10)), store(client, clock)
    reserve(one, lanes, 1000)
    assert [reserve(one, lanes, 1, codes=True)[0] - NOW for _ in range(4)] == [0, 1000, 2000, 3000]


def test_an_idle_account_gives_codes_the_whole_rate(client: Counting, clock: FakeClock) -> None:
    lanes, one = lanes_of(Rate(per_second=10, burst=10)), store(client, clock)
    assert [reserve(one, lanes, 1, codes=True)[0] - NOW for _ in range(10)] == [0] * 10


def test_as_many_go_on_a_day_as_may(client: Counting, clock: FakeClock) -> None:
    rate = Rate(per_second=1000, burst=100, per_day=1000)
    lanes, functions = lanes_of(rate), [store(client, clock) for _ in range(10)]
    midnight = (NOW // DAY_MS + 1) * DAY_MS
    per_day = []
    for _ in range(3):
        marketing = [len(reserve(one, lanes, 130)) for one in functions]
        assert sum(marketing) == 900
        rest = functions[0].reserve(*ACCOUNT, lanes, 1, None, False)
        assert (rest.starts, rest.ready) == ([], midnight)
        # What is kept for codes is there for them.
        codes = [len(reserve(one, lanes, 15, codes=True)) for one in functions]
        per_day.append(sum(marketing) + sum(codes))
        clock.set(midnight)
        midnight += DAY_MS
    assert per_day == [1000, 1000, 1000]


def test_days_count_by_when_messages_go(client: Counting, clock: FakeClock) -> None:
    lanes, one = lanes_of(Rate(per_second=1, burst=1, per_day=50)), store(client, clock)
    midnight = (NOW // DAY_MS + 1) * DAY_MS
    clock.set(midnight - 10_000)
    found = one.reserve(*ACCOUNT, lanes, 100, None, False)
    assert [sum(t < midnight for t in found.starts), len(found.starts)] == [10, 60]
    assert found.ready == midnight + DAY_MS
    clock.set(midnight + 500_000)
    assert one.reserve(*ACCOUNT, lanes, 1, None, False).starts == []


def test_what_would_come_too_late_takes_no_place_from_others(client: Counting, clock: FakeClock) -> None:
    lanes, one = lanes_of(Rate(per_second=10, burst=1)), store(client, clock)
    found = one.reserve(*ACCOUNT, lanes, 1000, NOW + 20_000, False)
    assert (len(found.starts), found.ready) == (200, NOW + 20_000)
    client.names.clear()
    assert one.reserve(*ACCOUNT, lanes, 1000, NOW + 20_000, False).starts == []
    assert client.names == []
    assert reserve(one, lanes, 1) == [NOW + 20_000]


def test_taking_places_costs_one_request(client: Counting, clock: FakeClock) -> None:
    lanes, one, other = lanes_of(Rate(per_second=10, burst=10)), store(client, clock), store(client, clock)
    for _ in range(3):
        reserve(one, lanes, 500)
        reserve(one, lanes, 1, codes=True)
    # An idle account, then its end is known; a code knows it, too.
    assert client.names == ["update_item"] * 6
    client.names.clear()
    reserve(other, lanes, 500)
    reserve(other, lanes, 500)
    # It could not know that the account is busy.
    assert client.names == ["update_item"] * 3


def test_an_item_that_is_gone_is_as_good_as_none(client: Counting, clock: FakeClock) -> None:
    lanes, one = lanes_of(Rate(per_second=10, burst=1)), store(client, clock)
    reserve(one, lanes, 100)
    client.client.delete_item(TableName="guard", Key={"pk": {"S": "rate#default#main"}, "sk": {"S": "lanes"}})
    assert reserve(one, lanes, 1) == [NOW]


def test_a_rate_that_is_changed_counts_at_once(client: Counting, clock: FakeClock) -> None:
    one = store(client, clock)
    reserve(one, lanes_of(Rate(per_second=1, burst=1)), 10)
    assert reserve(one, lanes_of(Rate(per_second=10, burst=1, per_day=100)), 2) == [NOW + 10_000, NOW + 10_100]
    assert reserve(one, lanes_of(Rate(per_second=10, burst=1, per_day=5)), 9) == [
        NOW + 10_200, NOW + 10_300, NOW + 10_400
    ]  # fmt: skip


def test_recipients_take_places_of_their_own_in_one_request(client: Counting, clock: FakeClock) -> None:
    one = store(client, clock)
    tags = dict.fromkeys((f"T{i:015d}" for i in range(100)), 1)
    found = one.admit(*ACCOUNT, MEMBER, tags, None)
    assert all(places.starts == [NOW] for places in found.values()) and len(found) == 100
    assert client.names == ["transact_write_items"]
    client.names.clear()
    assert one.admit(*ACCOUNT, MEMBER, {"T": 1}, None)["T"].starts == [NOW]
    assert client.names == ["update_item"]


def test_a_recipient_gets_so_many_at_once_and_then_one_after_the_other(client: Counting, clock: FakeClock) -> None:
    found: list[int] = []
    functions = [store(client, clock) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        for places in pool.map(lambda one: one.admit(*ACCOUNT, MEMBER, {"T": 2, "U": 1}, None), functions * 4):
            found += places["T"].starts
    assert len(found) == 40 and most_within(found, 0) == 15
    assert most_within(found, 60) <= 30
    assert sorted(found)[-1] == NOW + 25 * 4000


def test_a_recipients_places_that_come_too_late_are_not_taken(client: Counting, clock: FakeClock) -> None:
    one = store(client, clock)
    found = one.admit(*ACCOUNT, MEMBER, {"T": 30}, NOW + 10_000)["T"]
    assert (len(found.starts), found.ready) == (17, NOW + 10_000)
    assert one.admit(*ACCOUNT, MEMBER, {"T": 1, "U": 1}, NOW + 10_000)["U"].starts == [NOW]


def test_it_gives_up_where_others_are_always_faster(client: Counting, clock: FakeClock) -> None:
    one, other = store(client, clock), store(client, clock)
    one.admit(*ACCOUNT, MEMBER, {"T": 1, "U": 1}, None)
    plain = client.client.transact_write_items

    class Hindered:
        exceptions = client.exceptions

        def transact_write_items(self, **request: Any) -> Any:
            other.admit(*ACCOUNT, MEMBER, {"T": 1}, None)
            return plain(**request)

    with pytest.raises(RatesBusyError):
        Store(Hindered(), "guard", clock).admit(*ACCOUNT, MEMBER, {"T": 1, "U": 1}, None)


def test_a_recipients_place_is_known_to_who_took_the_last_one(client: Counting, clock: FakeClock) -> None:
    one = store(client, clock)
    for _ in range(3):
        one.admit(*ACCOUNT, MEMBER, {"T": 1, "U": 1}, None)
    assert client.names == ["transact_write_items"] * 3
