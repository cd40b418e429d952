"""Schedule expressions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.policy.cron import At, Cron, ExpressionError, Rate, firings, parse


def fired(expression: str, after: str, times: int = 3, zone: str = "UTC") -> list[str]:
    """The next firings of a cron expression, as `month-day hour:minute` in UTC."""
    cron = parse(expression, zone)
    assert isinstance(cron, Cron)
    ms: int | None = int(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000)
    found = []
    for _ in range(times):
        assert ms is not None
        ms = cron.next_after(ms)
        if ms is None:
            break
        found.append(datetime.fromtimestamp(ms / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 9 ? * 2-6 *)", "2026-11-20T09:00:00", ["11-23 09:00", "11-24 09:00", "11-25 09:00"]),
        ("cron(0 9 ? * MON-FRI *)", "2026-11-20T08:59:59", ["11-20 09:00", "11-23 09:00", "11-24 09:00"]),
        ("cron(0/20 8 1 JAN ? *)", "2026-06-01T00:00:00", ["01-01 08:00", "01-01 08:20", "01-01 08:40"]),
        ("cron(*/25 * * * ? *)", "2026-01-01T00:00:00", ["01-01 00:25", "01-01 00:50", "01-01 01:00"]),
        ("cron(15,45 10 * * ? *)", "2026-01-01T10:15:00", ["01-01 10:45", "01-02 10:15", "01-02 10:45"]),
        ("cron(0 0 L * ? *)", "2027-01-15T00:00:00", ["01-31 00:00", "02-28 00:00", "03-31 00:00"]),
        ("cron(0 0 LW * ? *)", "2026-10-23T00:00:00", ["10-30 00:00", "11-30 00:00", "12-31 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-07-15T00:00:00", ["08-03 00:00", "09-01 00:00", "10-01 00:00"]),
        ("cron(0 0 15W * ? *)", "2026-08-01T00:00:00", ["08-14 00:00", "09-15 00:00", "10-15 00:00"]),
        ("cron(0 0 31W * ? *)", "2026-05-01T00:00:00", ["05-29 00:00", "07-31 00:00", "08-31 00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-10-23T00:00:00", ["10-30 00:00", "11-27 00:00", "12-25 00:00"]),
        ("cron(0 0 ? * L *)", "2026-11-23T00:00:00", ["11-28 00:00", "12-05 00:00", "12-12 00:00"]),
        ("cron(0 0 ? * 3#2 *)", "2026-11-01T00:00:00", ["11-10 00:00", "12-08 00:00", "01-12 00:00"]),
        ("cron(0 0 ? * MON#5 *)", "2026-11-01T00:00:00", ["11-30 00:00", "03-29 00:00", "05-31 00:00"]),
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("cron(0 0 1 1 ? 2027)", "2026-01-01T00:00:00", ["01-01 00:00"]),
        ("cron(0 0 31 2 ? *)", "2026-01-01T00:00:00", []),
    ],
)
def test_cron_fires_when_it_says(expression: str, after: str, expected: list[str]) -> None:
    assert fired(expression, after) == expected


def test_a_time_zone_decides_the_hour() -> None:
    assert fired("cron(0 9 * * ? *)", "2026-11-23T00:00:00", 1, "Asia/Shanghai") == ["11-23 01:00"]


def test_a_time_that_the_clocks_skip_is_skipped() -> None:
    # Berlin, 29 March 2026: 02:00 is followed by 03:00.
    found = fired("cron(30 2 * * ? *)", "2026-03-27T12:00:00", 3, "Europe/Berlin")
    assert found == ["03-28 01:30", "03-30 00:30", "03-31 00:30"]


def test_a_time_that_the_clocks_repeat_fires_once() -> None:
    # Berlin, 25 October 2026: 02:00 to 03:00 comes twice.
    found = fired("cron(30 2 * * ? *)", "2026-10-23T12:00:00", 3, "Europe/Berlin")
    assert found == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_between_the_two_of_a_repeated_hour_the_next_day_is_next() -> None:
    assert fired("cron(30 2 * * ? *)", "2026-10-25T00:45:00", 1, "Europe/Berlin") == ["10-26 01:30"]


def test_at_is_in_its_time_zone() -> None:
    expected = int(datetime(2026, 11, 24, 1, tzinfo=UTC).timestamp() * 1000)
    assert parse("at(2026-11-24T09:00:00)", "Asia/Shanghai") == At(expected)


@pytest.mark.parametrize(
    ("expression", "every_ms"),
    [
        ("rate(1 minute)", 60_000),
        ("rate(5 minutes)", 300_000),
        ("rate(2 hours)", 7_200_000),
        ("rate(1 day)", 86_400_000),
    ],
)
def test_rate(expression: str, every_ms: int) -> None:
    assert parse(expression) == Rate(every_ms)


@pytest.mark.parametrize(
    "expression",
    [
        "banana",
        "cron(* * * * * *)",
        "cron(0 9 ? * ? *)",
        "cron(0 9 * * ?)",
        "cron(60 9 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 * 13 ? *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * MON#6 *)",
        "cron(0 0 0W * ? *)",
        "cron(0 0 * * ? 1969)",
        "cron(5-1 0 * * ? *)",
        "cron(0 0 * FOO ? *)",
        "cron(? 0 * * ? *)",
        "rate(0 minutes)",
        "rate(5 weeks)",
        "rate(-1 hours)",
        "at(2026-02-30T00:00:00)",
        "at(2026-01-01)",
    ],
)
def test_what_no_schedule_can_be_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        parse(expression)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ExpressionError, match="Mars/Base"):
        parse("rate(1 day)", "Mars/Base")


def test_a_one_shot_time_that_the_clocks_skip_is_refused() -> None:
    with pytest.raises(ExpressionError):
        parse("at(2026-03-29T02:30:00)", "Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("at(0001-01-01T00:00:00)", "Asia/Shanghai"),
        ("at(9999-12-31T23:59:59)", "America/New_York"),
        (f"rate({10**250} days)", "UTC"),
        ("rate(367 days)", "UTC"),
        ("rate(999999999 minutes)", "UTC"),
        ("rate(\u0663 days)", "UTC"),
        ("cron(\u0663 0 * * ? *)", "UTC"),
    ],
)
def test_what_is_beyond_all_bounds_is_refused(expression: str, zone: str) -> None:
    with pytest.raises(ExpressionError):
        parse(expression, zone)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def next_of(expression: str, after: str, zone: str = "UTC", count: int = 5, **bounds: Any) -> list[str]:
    """The next firings, as `month-day hour:minute` in UTC."""
    found = firings(parse(expression, zone), ms(after), count, **{name: ms(text) for name, text in bounds.items()})
    return [datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M") for at in found]


def test_the_next_five_keep_their_wall_clock_when_the_clocks_are_put_on() -> None:
    # Berlin, 29 March 2026.
    found = next_of("cron(0 9 * * ? *)", "2026-03-27T12:00:00", "Europe/Berlin")
    assert found == ["03-28 08:00", "03-29 07:00", "03-30 07:00", "03-31 07:00", "04-01 07:00"]


def test_a_time_that_comes_twice_counts_once_among_the_next() -> None:
    # New York, 1 November 2026: 01:30 comes at 05:30 and at 06:30 UTC.
    found = next_of("cron(30 1 * * ? *)", "2026-10-31T12:00:00", "America/New_York", 3)
    assert found == ["11-01 05:30", "11-02 06:30", "11-03 06:30"]


def test_a_rate_keeps_its_distance_whatever_the_clocks_do() -> None:
    found = next_of("rate(12 hours)", "2026-03-28T20:00:00", starts_at="2026-03-28T10:00:00")
    assert found == ["03-28 22:00", "03-29 10:00", "03-29 22:00", "03-30 10:00", "03-30 22:00"]


def test_a_rate_begins_where_it_is_told_or_one_interval_from_now() -> None:
    assert next_of("rate(1 day)", "2026-01-01T00:00:00", count=2) == ["01-02 00:00", "01-03 00:00"]
    assert next_of("rate(1 day)", "2026-01-01T00:00:00", count=2, starts_at="2026-01-05T07:00:00") == [
        "01-05 07:00",
        "01-06 07:00",
    ]
    # What fires at this very moment is not to come.
    assert next_of("rate(1 day)", "2026-01-05T07:00:00", count=1, starts_at="2026-01-05T07:00:00") == ["01-06 07:00"]


def test_nothing_fires_before_its_beginning_or_after_its_end() -> None:
    bounds: dict[str, Any] = {"starts_at": "2026-01-03T09:00:00", "ends_at": "2026-01-05T09:00:00"}
    assert next_of("cron(0 9 * * ? *)", "2026-01-01T00:00:00", **bounds) == [
        "01-03 09:00",
        "01-04 09:00",
        "01-05 09:00",
    ]
    assert next_of("rate(1 day)", "2026-01-01T00:00:00", **bounds) == ["01-03 09:00", "01-04 09:00", "01-05 09:00"]
    assert next_of("rate(1 day)", "2026-01-05T09:00:00", **bounds) == []


def test_once_is_once() -> None:
    assert next_of("at(2026-01-02T09:00:00)", "2026-01-02T00:59:59", "Asia/Shanghai") == ["01-02 01:00"]
    assert next_of("at(2026-01-02T09:00:00)", "2026-01-02T01:00:00", "Asia/Shanghai") == []


def test_a_date_that_never_comes_gives_nothing() -> None:
    assert next_of("cron(0 0 31 2 ? *)", "2026-01-01T00:00:00") == []
    assert next_of("cron(0 0 1 1 ? 2027)", "2026-01-01T00:00:00") == ["01-01 00:00"]
