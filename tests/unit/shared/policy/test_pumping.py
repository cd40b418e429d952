"""The guard against SMS pumping, as decisions: who is held, who is spared, and what a trial comes to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.pumping import (
    Figures,
    HourCounts,
    PrefixState,
    Recent,
    Rule,
    Usual,
    UsualTable,
    VerificationGuard,
    suffixes_of,
)
from shared.policy.pumping import (
    DAY_MS,
    FIRST_HOLD_MS,
    HOUR_MS,
    LONGEST_HOLD_MS,
    MINUTE_MS,
    TRIAL_MS,
    TRIAL_STARTS,
    Suspected,
    Trial,
    Window,
    cleared,
    hold,
    hold_ms,
    is_over,
    peers_of,
    present,
    ruling,
    spared,
    suspected,
    trial,
    tried,
    window,
)
from shared.policy.pumping_usual import hour_counts, usual_at

NOW = 1_736_935_200_000
"""The beginning of an hour."""
MINUTE, HOUR = NOW // MINUTE_MS, NOW // HOUR_MS
DIGITS = "628123456789"
GUARD = VerificationGuard()


def counts(n: int, digits: str = DIGITS) -> dict[str, int]:
    return dict.fromkeys(suffixes_of(digits), n)


def recent(
    started: dict[int, int], approved: dict[int, int] | None = None, usual: Usual | None = None, digits: str = DIGITS
) -> Recent:
    """What was started, and of that approved, so many minutes ago."""
    by = {} if usual is None else dict.fromkeys(suffixes_of(digits), usual)
    return Recent(
        {MINUTE - ago: counts(n, digits) for ago, n in started.items()},
        {},
        {MINUTE - ago: counts(n, digits) for ago, n in (approved or {}).items()},
        UsualTable(HOUR, by),
    )


def rule(prefix: str = "6281234", state: PrefixState = PrefixState.HELD, since: int = NOW, **more: Any) -> Rule:
    return Rule(prefix=prefix, state=state, since=since, **more)


def test_a_number_has_four_prefixes() -> None:
    assert suffixes_of(DIGITS) == ("", "2", "23", "234")
    assert ["6281" + each for each in suffixes_of(DIGITS)] == ["6281", "62812", "628123", "6281234"]


@pytest.mark.parametrize(
    ("started", "approved", "usual", "held"),
    [
        pytest.param({5: 40}, {}, None, True, id="an attack on a prefix that nobody used"),
        pytest.param({5: 29}, {}, None, False, id="too few to say anything"),
        pytest.param({5: 40}, {5: 20}, None, False, id="half of them enter it"),
        pytest.param({5: 40}, {5: 10}, None, False, id="just as many as are expected"),
        pytest.param({5: 40}, {5: 9}, None, True, id="one fewer"),
        pytest.param({0: 40}, {}, None, False, id="all of this minute: none can have been entered yet"),
        pytest.param({1: 40}, {}, None, False, id="of the minute before: some may still be read"),
        pytest.param({2: 40}, {}, None, True, id="older than a minute"),
        pytest.param({5: 199}, {}, Usual(hour=40), False, id="fewer than five times the usual"),
        pytest.param({5: 200}, {}, Usual(hour=40), True, id="five times the usual"),
        pytest.param({61: 400}, {}, None, False, id="more than an hour ago"),
        pytest.param({5: 20}, {}, Usual(0, 3, 130, 2), True, id="slowly, all day"),
        pytest.param({5: 20}, {}, Usual(0, 30, 130, 2), False, id="not more than on other days"),
        pytest.param({5: 20}, {}, Usual(0, 3, 130, 40), False, id="all day, and entered"),
    ],
)
def test_what_is_held(started: dict[int, int], approved: dict[int, int], usual: Usual | None, held: bool) -> None:
    found = suspected(DIGITS, recent(started, approved, usual), {}, GUARD, NOW)
    assert (found is not None) is held
    if found is not None:
        assert found.prefix == "6281234"


def test_the_longest_prefix_is_held_that_the_figures_speak_against() -> None:
    """Of numbers that share six digits and no more."""
    spread = Recent({MINUTE - 5: {"": 60, "2": 60, "23": 60, "234": 6}}, {}, {}, UsualTable(HOUR))
    found = suspected(DIGITS, spread, {}, GUARD, NOW)
    assert found is not None and found.prefix == "628123"


def test_what_is_held_does_not_count_against_those_around_it() -> None:
    found = Recent({MINUTE - 5: {"": 105, "2": 105, "23": 105, "234": 0, "235": 100}}, {}, {}, UsualTable(HOUR))
    inner = {"6281235": rule("6281235")}
    assert suspected(DIGITS, found, {}, GUARD, NOW) is not None
    assert suspected(DIGITS, found, inner, GUARD, NOW) is None
    done = {"6281235": rule("6281235", PrefixState.CLEARED, NOW - MINUTE_MS)}
    assert suspected(DIGITS, found, done, GUARD, NOW) is None
    before = {"6281235": rule("6281235", PrefixState.CLEARED, NOW - 6 * MINUTE_MS)}
    assert suspected(DIGITS, found, before, GUARD, NOW) is not None


def test_what_was_cleared_begins_anew() -> None:
    found, own = recent({5: 100}), rule(state=PrefixState.CLEARED, since=NOW - 4 * MINUTE_MS)
    inner = {own.prefix: own}
    assert suspected(DIGITS, found, inner, GUARD, NOW) is None
    again = recent({5: 100, 2: 30})
    assert suspected(DIGITS, again, inner, GUARD, NOW) is not None


@pytest.mark.parametrize(
    ("approved", "peers", "expected"),
    [
        (0, (29, 25), False),
        (0, (30, 25), False),
        (2, (100, 10), False),
        (2, (100, 8), True),
        (0, (100, 0), True),
    ],
    ids=["too few others", "others do well", "others do twice as well", "others do as badly", "nobody gets anything"],
)
def test_a_prefix_that_does_as_well_as_the_others_is_spared(
    approved: int, peers: tuple[int, int], expected: bool
) -> None:
    assert spared(Figures("hour", 50, 0, 50, approved, *peers)) is expected


def test_others_that_are_attacked_themselves_say_nothing() -> None:
    calm = recent({5: 100}, {5: 70}, Usual(hour=90))
    assert peers_of(calm, NOW, GUARD) == Window(100, 100, 70)
    assert peers_of(recent({5: 100}, {5: 2}), NOW, GUARD) == Window()


def test_the_rest_of_a_partition_speaks_for_it() -> None:
    both = Recent(
        {MINUTE - 5: {"": 180, "234": 100}}, {}, {MINUTE - 5: {"": 62, "234": 2}},
        UsualTable(HOUR, {"": Usual(hour=70), "234": Usual(hour=1)}),
    )  # fmt: skip
    assert peers_of(both, NOW, GUARD, less="234") == Window(80, 80, 60)


def test_holds_grow_longer_and_have_an_end() -> None:
    assert [hold_ms(n) // MINUTE_MS for n in range(1, 8)] == [15, 30, 60, 120, 240, 480, 720]
    assert hold_ms(500) == LONGEST_HOLD_MS
    found = Suspected("6281234", Figures("hour", 40, 2, 35, 1))
    first = hold(found, None, GUARD, NOW, "ID")
    assert (first.until, first.times, first.state) == (NOW + FIRST_HOLD_MS, 1, PrefixState.HELD)
    second = hold(found, trial(first, NOW + 1), GUARD, NOW + 2, "ID")
    assert second.times == 2
    assert hold(found, first, GUARD, NOW + DAY_MS, "ID").times == 1
    assert "40 codes" in first.why and "+6281234" in first.why and "3%" in first.why and "25%" in first.why


@pytest.mark.parametrize(
    ("started", "approved", "minutes", "expected"),
    [
        ({0: TRIAL_STARTS}, {}, 0, Trial.GO),
        ({0: TRIAL_STARTS + 1}, {}, 0, Trial.WAIT),
        ({3: TRIAL_STARTS}, {}, 4, Trial.HOLD),
        ({3: TRIAL_STARTS}, {3: 3}, 4, Trial.CLEAR),
        ({3: TRIAL_STARTS - 1}, {}, 4, Trial.GO),
        ({3: TRIAL_STARTS - 1}, {}, TRIAL_MS // MINUTE_MS, Trial.CLEAR),
        ({9: 500}, {}, 4, Trial.GO),
    ],
    ids=[
        "ten may go",
        "more wait",
        "none entered",
        "some entered",
        "too few to say",
        "nobody asks",
        "before the trial",
    ],
)
def test_a_trial(started: dict[int, int], approved: dict[int, int], minutes: int, expected: Trial) -> None:
    begun = trial(rule(), NOW - minutes * MINUTE_MS)
    assert tried(begun, recent(started, approved), GUARD, NOW)[0] is expected


def test_a_cleared_prefix_is_remembered_for_a_day() -> None:
    done = cleared(trial(rule(times=3), NOW), NOW, Figures("trial", 12, 0, 10, 8))
    assert (done.state, done.times, done.until) == (PrefixState.CLEARED, 3, NOW + DAY_MS)
    assert ruling(DIGITS, {done.prefix: done}, NOW) is None


def test_a_person_comes_before_the_guard_and_the_longest_prefix_before_the_others() -> None:
    own, hand = rule(), rule("62", PrefixState.RELEASED, until=NOW + 1, by="k1")
    rules = {each.prefix: each for each in (own, hand)}
    assert ruling(DIGITS, rules, NOW) == hand
    assert ruling(DIGITS, rules, NOW + 1) == own
    longer = rule("62812", PrefixState.BLOCKED, by="k2")
    assert ruling(DIGITS, {**rules, "62812": longer}, NOW) == longer
    assert ruling("4479", rules, NOW) is None
    assert is_over(hand, NOW + 1) and not is_over(longer, NOW + 10**12)


def test_the_present_minute_is_exact() -> None:
    exact = present(recent({0: 3, 1: 4}), MINUTE, counts(9))
    assert window(exact, "", NOW).started == 13


def test_usual_is_the_median_of_the_same_hour_on_seven_days() -> None:
    days = [10, 12, 9, 500, 11, 10, 13]
    hours = {HOUR - 24 * day: HourCounts({"": n}, {"": n}, {"": 24 * n}) for day, n in enumerate(days, 1)}
    assert usual_at(HOUR, hours, HOUR - 24 * 7).of("").hour == 11
    # The hour that slides began in the hour before.
    assert usual_at(HOUR + 1, hours, HOUR - 24 * 7).of("").hour == 11
    assert usual_at(HOUR + 2, hours, HOUR - 24 * 7).of("").hour == 0


def test_only_days_count_of_which_something_is_known() -> None:
    hours = {HOUR - 24: HourCounts({"": 10}, {"": 5}, {"": 100}), HOUR - 1: HourCounts({"": 3}, {"": 1}, {"": 100})}
    found = usual_at(HOUR, hours, HOUR - 24).of("")
    assert found == Usual(10, 0, 13, 6)


def test_an_hour_is_the_sum_of_its_minutes() -> None:
    found = Recent(
        {60 * HOUR: {"": 2}, 60 * HOUR + 59: {"": 3, "1": 1}, 60 * HOUR + 60: {"": 9}}, {}, {60 * HOUR: {"": 1}}
    )
    before = {HOUR - 23: HourCounts({"": 4}), HOUR - 24: HourCounts({"": 100})}
    assert hour_counts(HOUR, found, before) == HourCounts({"": 5, "1": 1}, {"": 1}, {"": 9, "1": 1})


_MINUTES = st.dictionaries(st.integers(0, 70), st.integers(0, 200), max_size=20)


@given(_MINUTES, st.integers(0, 100), st.integers(0, 500))
def test_who_enters_enough_codes_is_never_held(started: dict[int, int], percent: int, usual: int) -> None:
    """And who has too few starts is not, either."""
    approved = {ago: -(-n * percent // 100) for ago, n in started.items()}
    found = suspected(DIGITS, recent(started, approved, Usual(hour=usual)), {}, GUARD, NOW)
    if found is None:
        return
    assert percent < GUARD.least_conversion
    assert found.figures.started >= max(GUARD.least_started, GUARD.times_usual * usual)


@given(_MINUTES, _MINUTES)
def test_more_approvals_never_hold_what_was_not_held(started: dict[int, int], approved: dict[int, int]) -> None:
    entered = {ago: min(n, started.get(ago, 0)) for ago, n in approved.items()}
    few = suspected(DIGITS, recent(started, entered), {}, GUARD, NOW)
    more = suspected(DIGITS, recent(started, {ago: n for ago, n in started.items()}), {}, GUARD, NOW)
    assert more is None
    strict = suspected(DIGITS, recent(started, entered), {}, GUARD.model_copy(update={"times_usual": 100}), NOW)
    assert few is not None or strict is None


@given(st.lists(st.sampled_from([Trial.HOLD, Trial.CLEAR]), min_size=1, max_size=30))
def test_holds_follow_each_other_within_bounds(outcomes: list[Trial]) -> None:
    now, current = NOW, hold(Suspected("6281234", Figures("hour", 40, 0, 40, 0)), None, GUARD, NOW, None)
    for outcome in outcomes:
        now = (current.until or now) + 1
        on_trial = trial(current, now)
        assert on_trial.until is None
        if outcome is Trial.CLEAR:
            current = cleared(on_trial, now, Figures("trial", 10, 0, 10, 9))
            current = hold(Suspected("6281234", Figures("hour", 40, 0, 40, 0)), current, GUARD, now, None)
        else:
            current = hold(Suspected("6281234", Figures("trial", 11, 0, 10, 0)), on_trial, GUARD, now, None)
        assert current.until is not None and FIRST_HOLD_MS <= current.until - now <= LONGEST_HOLD_MS
