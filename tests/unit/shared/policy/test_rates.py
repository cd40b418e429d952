"""The rate of an account, pure: which places can be had, and that no window ever holds more than the rate allows."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.model.accounts import Account, Rate
from shared.model.words import Channel
from shared.policy.rates import DAY, FOREVER, SECOND, Booked, Lane, claim, lanes_of, pick, starts
from shared.providers.declared import rate_of
from shared.providers.wecom.app.provider import MEMBER
from shared.providers.wecom.robot.limits import RATE as ROBOT_RATE
from tests.rates import most_within
from tests.samples import NOW

START = NOW * 1000


def account(provider: str = "smtp", **changes: Rate | None) -> Account:
    return Account(
        id="main", tenant="default", name="main", channel=Channel.EMAIL, provider=provider,
        settings={}, created_at=0, updated_at=0, **changes,
    )  # fmt: skip


def taken(lane: Lane, asks: Sequence[tuple[int, int]]) -> list[int]:
    """When the messages of asks (at, how many) go that all come to one lane, in milliseconds."""
    booked, found = Booked(), []
    for at, wanted in asks:
        one = claim(lane, booked, at, wanted)
        first = max(booked.end, at)
        booked = Booked(first + one.count * lane.interval)
        found += starts(lane, first, one.count, at)
    return sorted(found)


def test_an_idle_account_lets_a_burst_go_at_once_and_then_keeps_its_pace() -> None:
    lane = lanes_of(Rate(per_second=10, burst=3, code_share=0)).main
    assert taken(lane, [(START, 6)]) == [NOW, NOW, NOW, NOW + 100, NOW + 200, NOW + 300]


def test_who_comes_later_gets_the_places_behind() -> None:
    lane = lanes_of(Rate(per_second=2, burst=1)).main
    assert taken(lane, [(START, 2), (START, 1), (START + 9 * SECOND, 1)]) == [NOW, NOW + 500, NOW + 1000, NOW + 9000]


@settings(deadline=None)
@given(
    st.floats(min_value=0.01, max_value=5000),
    st.integers(min_value=1, max_value=200),
    st.floats(min_value=0, max_value=0.5),
    st.lists(st.tuples(st.integers(0, 30 * SECOND), st.integers(1, 300), st.booleans()), min_size=1, max_size=40),
)
def test_no_window_holds_more_than_the_rate_allows(
    per_second: float, burst: int, share: float, asks: list[tuple[int, int, bool]]
) -> None:
    lanes = lanes_of(Rate(per_second=per_second, burst=burst, code_share=share))
    booked = {"main": Booked(), "code": Booked()}
    found: list[int] = []
    now = START
    for after, wanted, codes in asks:
        now += after
        name, one = pick(lanes, booked["main"], booked["code"], now, wanted, FOREVER, codes)
        lane = lanes.code if name == "code" and lanes.code else lanes.main
        assert one.count == wanted
        first = max(booked[name].end, now)
        booked[name] = Booked(first + wanted * lane.interval)
        found += starts(lane, first, wanted, now)
    for seconds in (0, 0.1, 1, 7, 60, 3600):
        # Starts are rounded up to milliseconds.
        assert most_within(found, seconds) <= burst + per_second * (seconds + 0.001)


def test_a_code_goes_where_its_place_comes_first() -> None:
    lanes = lanes_of(Rate(per_second=10, burst=10))
    assert lanes.code is not None
    idle, far = Booked(), Booked(START + 3600 * SECOND)
    assert pick(lanes, idle, idle, START, 1, FOREVER, True)[0] == "main"
    assert pick(lanes, far, idle, START, 1, FOREVER, True)[0] == "code"
    assert pick(lanes, far, idle, START, 1, FOREVER, False)[0] == "main"
    assert pick(lanes, far, Booked(START + 7200 * SECOND), START, 1, FOREVER, True)[0] == "main"


def test_a_code_stays_with_the_main_lane_only_while_that_is_faster() -> None:
    lanes = lanes_of(Rate(per_second=10, burst=10))
    _, one = pick(lanes, Booked(START), Booked(), START, 1, FOREVER, True)
    assert claim(lanes.main, Booked(one.most), START, 1).ready == START
    assert claim(lanes.main, Booked(one.most + 1), START, 1).ready > START


def test_of_a_day_there_is_only_so_much() -> None:
    lanes = lanes_of(Rate(per_second=1000, burst=1000, per_day=100))
    assert lanes.code is not None
    assert (lanes.main.per_day, lanes.code.per_day) == (90, 10)
    today = START // DAY
    one = claim(lanes.main, Booked(START, today, 80), START, 20)
    assert (one.count, one.day, one.fresh, one.ready) == (10, today, False, (today + 1) * DAY)
    none = claim(lanes.main, Booked(START, today, 90), START, 20)
    assert (none.count, none.ready) == (0, (today + 1) * DAY)
    other = claim(lanes.main, Booked(START, today - 1, 90), START, 20)
    assert (other.count, other.fresh) == (20, True)


def test_places_of_one_claim_are_all_on_one_day() -> None:
    lane = Lane(SECOND, 1, 1000)
    today = START // DAY
    midnight = (today + 1) * DAY
    one = claim(lane, Booked(midnight - 5 * SECOND, today, 0), START, 20)
    assert (one.count, one.day, one.ready) == (5, today, midnight)
    assert claim(lane, Booked(one.most + 5 * SECOND, today, 5), START, 20).fresh


def test_no_place_is_taken_that_comes_too_late() -> None:
    lane = Lane(SECOND, 1)
    one = claim(lane, Booked(START), START, 20, START + 5 * SECOND)
    assert (one.count, one.ready) == (5, START + 5 * SECOND)
    assert claim(lane, Booked(START + 5 * SECOND), START, 20, START + 5 * SECOND).count == 0
    assert one.most < START + SECOND


@pytest.mark.parametrize(("lane", "most", "seconds"), [
    (lanes_of(ROBOT_RATE).main, 20, 60),
    (MEMBER, 30, 60),
    (MEMBER, 1000, 3600),
])  # fmt: skip
def test_vendors_windows_are_kept(lane: Lane, most: int, seconds: int) -> None:
    found = taken(lane, [(START + i * SECOND, 3) for i in range(0, 600, 7)])
    assert most_within(found, seconds) <= most
    assert most_within(found, 60) > 15


def test_what_people_set_counts_before_what_the_provider_says() -> None:
    own, said = Rate(per_second=5, burst=5), Rate(per_second=14, burst=14, per_day=50_000)
    assert rate_of(account(rate=own, verified_rate=said)) == (own, "account")
    assert rate_of(account(verified_rate=said)) == (said, "verified")
    assert rate_of(account("robot")) == (ROBOT_RATE, "provider")
    assert rate_of(account())[0] is None
    assert rate_of(account("tencent"))[0] is None


@pytest.mark.parametrize("wrong", [
    {"per_second": 0, "burst": 1},
    {"per_second": -1, "burst": 1},
    {"per_second": 10_001, "burst": 1},
    {"per_second": 1, "burst": 0},
    {"per_second": 1},
    {"per_second": 1, "burst": 1, "per_day": 0},
    {"per_second": 1, "burst": 1, "code_share": 0.6},
])  # fmt: skip
def test_a_rate_must_make_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Rate.model_validate(wrong)
