"""Quiet hours, against a plain walk over the minutes of a wall clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.policy.quiet_hours import Window, quiet_until

MINUTE_MS = 60_000
NIGHT = Window(frozenset(range(7)), 22 * 60, 8 * 60)
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
CHANGES = ("2026-03-29T00:00Z", "2026-10-25T00:00Z", "2026-03-08T06:00Z", "2026-11-01T05:00Z", "2026-04-04T14:00Z")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def is_quiet(at_ms: int, zone: ZoneInfo, windows: list[Window]) -> bool:
    """The definition, without arithmetic on lengths."""
    wall = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    minute = 60 * wall.hour + wall.minute
    for window in windows:
        if window.start < window.end:
            if wall.weekday() in window.days and window.start <= minute < window.end:
                return True
        elif (wall.weekday() in window.days and minute >= window.start) or (
            (wall.weekday() - 1) % 7 in window.days and minute < window.end
        ):
            return True
    return False


windows = st.lists(
    st.builds(
        Window,
        st.frozensets(st.integers(0, 6), min_size=1),
        st.integers(0, 24 * 60 - 1),
        st.integers(0, 24 * 60 - 1),
    ),
    min_size=1,
    max_size=3,
)
around_changes = st.builds(
    lambda text, minutes: ms(text) + minutes * MINUTE_MS, st.sampled_from(CHANGES), st.integers(-1500, 1500)
)
any_time = st.integers(ms("2026-01-01T00:00Z"), ms("2027-12-31T00:00Z"))


@settings(max_examples=300, deadline=None)
@given(around_changes | any_time, st.sampled_from(ZONES), windows)
def test_it_ends_at_the_first_minute_that_is_not_quiet(now: int, zone_name: str, found: list[Window]) -> None:
    zone = ZoneInfo(zone_name)
    until = quiet_until(now, zone, found)
    if not is_quiet(now, zone, found):
        assert until is None
        return
    minute = now - now % MINUTE_MS
    expected = next(
        (minute + i * MINUTE_MS for i in range(8 * 1440) if not is_quiet(minute + i * MINUTE_MS, zone, found)), None
    )
    assert until == expected


@pytest.mark.parametrize(
    ("now", "zone", "until"),
    [
        ("2026-11-25T21:59:59+08:00", "Asia/Shanghai", None),
        ("2026-11-25T22:00:00+08:00", "Asia/Shanghai", "2026-11-26T08:00:00+08:00"),
        ("2026-11-26T07:59:59+08:00", "Asia/Shanghai", "2026-11-26T08:00:00+08:00"),
        ("2026-11-26T08:00:00+08:00", "Asia/Shanghai", None),
        # The night of the clock's change is an hour shorter, or longer, and ends at eight all the same.
        ("2026-03-28T23:00:00+01:00", "Europe/Berlin", "2026-03-29T08:00:00+02:00"),
        ("2026-10-24T23:00:00+02:00", "Europe/Berlin", "2026-10-25T08:00:00+01:00"),
    ],
)
def test_a_night(now: str, zone: str, until: str | None) -> None:
    assert quiet_until(ms(now), ZoneInfo(zone), [NIGHT]) == (ms(until) if until else None)


def test_windows_that_never_end_are_none() -> None:
    always = Window(frozenset(range(7)), 0, 0)
    assert quiet_until(ms("2026-11-25T12:00Z"), ZoneInfo("UTC"), [always]) is None


def test_an_end_within_an_hour_that_the_clock_skips_is_the_change_itself() -> None:
    window = Window(frozenset(range(7)), 60, 150)
    now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert quiet_until(int(now.timestamp() * 1000), ZoneInfo("Europe/Berlin"), [window]) == int(
        (now + timedelta(minutes=30)).timestamp() * 1000
    )
