"""Quiet hours: when nothing is sent by a recipient's wall clock, across midnight and changes of the clock."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Self
from zoneinfo import ZoneInfo

from msgspec import Struct

from shared.model.policies import DAY_MINUTES, QuietHours, QuietWindow, Weekday

_DAYS = tuple(Weekday)
_MOST_STEPS = 64
"""More ends than this do not follow one another in a week."""


class Window(Struct, frozen=True):
    """A window on each of `days` (0 is Monday): from `start` to `end`, in minutes since midnight.

    An end that is not later than the start lies on the next day; the day is that of the start.
    """

    days: frozenset[int]
    start: int
    end: int

    @classmethod
    def of(cls, window: QuietWindow) -> Self:
        """A window as somebody set it."""
        return cls(frozenset(_DAYS.index(day) for day in window.days), _minute(window.start), _minute(window.end))

    def left(self, weekday: int, minute: int) -> int:
        """For how many more minutes of the wall clock the window lasts; 0 outside of it."""
        length = (self.end - self.start - 1) % DAY_MINUTES + 1
        for back in (0, 1):
            since = minute + back * DAY_MINUTES - self.start
            if (weekday - back) % 7 in self.days and 0 <= since < length:
                return length - since
        return 0


def quiet_until(now_ms: int, zone: ZoneInfo, windows: Sequence[Window]) -> int | None:
    """The first moment that is not quiet, in milliseconds since the epoch; None when it is not quiet now.

    It is quiet whenever the wall clock of `zone` shows a time within a window: an hour that the clock shows twice is
    quiet twice, one that it skips is not there. Windows that leave no minute free have no end, so they count as none.
    """
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    if not _left(at, zone, windows):
        return None
    at = at.replace(second=0, microsecond=0)
    for _ in range(_MOST_STEPS):
        left = _left(at, zone, windows)
        if not left:
            return int(at.timestamp() * 1000)
        at = _later(at, zone, left)
    return None


def waits_until(now_ms: int, zone: ZoneInfo, quiet: QuietHours, seed: str) -> int | None:
    """Until when messages wait, in milliseconds since the epoch; None when it is not quiet now.

    seed: spreads the end; the same seed always has the same part of it.
    """
    until = quiet_until(now_ms, zone, [Window.of(window) for window in quiet.windows])
    if until is None or not quiet.spread_minutes:
        return until
    part = int.from_bytes(blake2b(seed.encode(), digest_size=4).digest())
    return until + part * quiet.spread_minutes * 60 // 2**32 * 1000


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return 60 * int(hours) + int(minutes)


def _left(at: datetime, zone: ZoneInfo, windows: Sequence[Window]) -> int:
    wall = at.astimezone(zone)
    minute = 60 * wall.hour + wall.minute
    return max((window.left(wall.weekday(), minute) for window in windows), default=0)


def _later(at: datetime, zone: ZoneInfo, minutes: int) -> datetime:
    """`minutes` later, or the first minute at which the clock was changed on the way: there one looks anew."""
    offset = at.astimezone(zone).utcoffset()

    def changed(after: int) -> bool:
        return (at + timedelta(minutes=after)).astimezone(zone).utcoffset() != offset

    if not changed(minutes):
        return at + timedelta(minutes=minutes)
    low, high = 0, minutes
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if changed(middle) else (middle, high)
    return at + timedelta(minutes=high)
