"""Schedule expressions of EventBridge Scheduler: `at(...)`, `rate(...)` and six-field `cron(...)`.

After the EventBridge Scheduler user guide, "Schedule types": a local time that the clocks skip is skipped, one that
they repeat fires once.
"""

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: i for i, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: i for i, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_UNIT_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_SATURDAY = 7
MAX_RATE_DAYS = 366


class ExpressionError(ValueError):
    """A schedule expression or time zone that EventBridge Scheduler does not take; says why."""


def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name. Raises: ExpressionError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ExpressionError(f"no such time zone: {name}") from None


@dataclass(frozen=True, slots=True)
class At:
    """Once, at `at_ms` (milliseconds since the epoch)."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `every_ms` milliseconds."""

    every_ms: int


@dataclass(frozen=True, slots=True)
class Cron:
    """The values of each field; `days` and `weekdays` as written, since they depend on the month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]
    zone: ZoneInfo

    def next_after(self, ms: int) -> int | None:
        """The first firing strictly after `ms`, or None if there is none until the year 2199."""
        # Three hours early: the clocks may have been put back since.
        local = datetime.fromtimestamp(ms / 1000, UTC).astimezone(self.zone) - timedelta(hours=3)
        for day in self._dates(local.date()):
            midnight = datetime.combine(day, datetime.min.time())
            for hour in self.hours:
                if day == local.date() and hour < local.hour:
                    continue
                for minute in self.minutes:
                    at_ms = _instant(midnight.replace(hour=hour, minute=minute), self.zone)
                    if at_ms is not None and at_ms > ms:
                        return at_ms
        return None

    def _dates(self, start: date) -> Iterator[date]:
        for year in range(max(start.year, _FIRST_YEAR), _LAST_YEAR + 1):
            if year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for day in self._days_of(year, month):
                    if (found := date(year, month, day)) >= start:
                        yield found

    def _days_of(self, year: int, month: int) -> list[int]:
        length = calendar.monthrange(year, month)[1]
        if self.weekdays == "?":
            found = {day for part in self.days.split(",") for day in _month_days(part, year, month, length)}
        else:
            found = {day for part in self.weekdays.split(",") for day in _week_days(part, year, month, length)}
        return sorted(found)


Expression = At | Rate | Cron


def firings(
    expression: Expression, after: int, count: int, starts_at: int | None = None, ends_at: int | None = None
) -> list[int]:
    """The next firings strictly after a time, at most `count`. All times are milliseconds since the epoch.

    starts_at: the first firing of a rate (without it, one interval after `after`), the earliest of a cron. ends_at: the
    latest that one may be. Neither holds for `at` (EventBridge Scheduler API reference, CreateSchedule).
    """
    if isinstance(expression, At):
        return [expression.at_ms][:count] if expression.at_ms > after else []
    found: list[int] = []
    last = after if starts_at is None else max(after, starts_at - 1)
    while len(found) < count:
        at = (
            _rate_after(expression, last, starts_at, after)
            if isinstance(expression, Rate)
            else expression.next_after(last)
        )
        if at is None or (ends_at is not None and at > ends_at):
            break
        found.append(at)
        last = at
    return found


def _rate_after(rate: Rate, ms: int, starts_at: int | None, after: int) -> int:
    """The first firing of a rate strictly after `ms`."""
    first = after + rate.every_ms if starts_at is None else starts_at
    return first + max(0, (ms - first) // rate.every_ms + 1) * rate.every_ms


def parse(expression: str, time_zone: str = "UTC") -> Expression:
    """Read a schedule expression. Raises: ExpressionError."""
    tz = zone(time_zone)
    if match := re.fullmatch(r"at\(([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)", expression):
        return _at(match[1], tz)
    if match := re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", expression):
        return _rate(match[1], match[2])
    if match := re.fullmatch(r"cron\((.+)\)", expression):
        return _cron(match[1].upper().split(), tz)
    raise ExpressionError(
        "neither at(2026-12-01T09:00:00) nor rate(1 day) nor cron(0 9 * * ? *), with six fields: minutes hours "
        "day-of-month month day-of-week year"
    )


def _rate(value: str, unit: str) -> Rate:
    # So long a text may be no number any more for Python either.
    number = int(value) if len(value) <= 9 else MAX_RATE_DAYS * 1440 + 1
    if number < 1 or number * _UNIT_MS[unit] > MAX_RATE_DAYS * _UNIT_MS["day"]:
        raise ExpressionError(f"a rate is at least 1 and at most {MAX_RATE_DAYS} days")
    return Rate(number * _UNIT_MS[unit])


def _at(text: str, tz: ZoneInfo) -> At:
    try:
        at_ms = _instant(datetime.fromisoformat(text), tz)
    except (ValueError, OverflowError):
        raise ExpressionError(f"no such date or time: {text}") from None
    if at_ms is None:
        raise ExpressionError(f"the clocks skip {text} in {tz.key}")
    return At(at_ms)


def _instant(local: datetime, tz: ZoneInfo) -> int | None:
    """A local time as milliseconds since the epoch: the first of two, None if the clocks skip it."""
    utc = local.replace(tzinfo=tz).astimezone(UTC)
    if utc.astimezone(tz).replace(tzinfo=None) != local:
        return None
    return int(utc.timestamp()) * 1000


def _cron(fields: Sequence[str], tz: ZoneInfo) -> Cron:
    if len(fields) != 6:
        raise ExpressionError(
            "cron has six fields: minutes hours day-of-month month day-of-week year, such as cron(0 9 * * ? *)"
        )
    minutes, hours, days, months, weekdays, years = fields
    if (days == "?") == (weekdays == "?"):
        raise ExpressionError("exactly one of day-of-month and day-of-week (the third and the fifth field) is `?`")
    cron = Cron(
        tuple(sorted(_values(minutes, 0, 59))),
        tuple(sorted(_values(hours, 0, 23))),
        days,
        frozenset(_values(months, 1, 12, _MONTHS)),
        weekdays,
        frozenset(_values(years, _FIRST_YEAR, _LAST_YEAR)),
        tz,
    )
    # The day fields are read month by month: reading one finds what is wrong with them.
    cron._days_of(2024, 1)
    return cron


def _values(field: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if first == "*" else _number(first, low, high, names)
        end = _number(last, low, high, names) if dash else (high if first == "*" or slash else start)
        every = _number(step, 1, max(high, 1), None) if slash else 1
        if (first == "*" and dash) or start > end:
            raise ExpressionError(f"not a range: {part}")
        found.update(range(start, end + 1, every))
    return found


def _number(text: str, low: int, high: int, names: dict[str, int] | None) -> int:
    value = (names or {}).get(text)
    if value is None:
        if not re.fullmatch(r"[0-9]{1,4}", text):
            raise ExpressionError(f"not a value: {text!r}")
        value = int(text)
    if not low <= value <= high:
        raise ExpressionError(f"{value} is not between {low} and {high}")
    return value


def _month_days(part: str, year: int, month: int, length: int) -> set[int]:
    if part == "L":
        return {length}
    if part == "LW":
        return {_nearest_weekday(year, month, length, length)}
    if part.endswith("W"):
        day = _number(part[:-1], 1, 31, None)
        return {_nearest_weekday(year, month, day, length)} if day <= length else set()
    return {day for day in _values(part, 1, 31) if day <= length}


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    """The weekday nearest to a day within its month."""
    weekday = calendar.weekday(year, month, day)  # Monday is 0
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _week_days(part: str, year: int, month: int, length: int) -> set[int]:
    first = (calendar.weekday(year, month, 1) + 1) % 7 + 1  # Sunday is 1

    def days(weekday: int) -> list[int]:
        return list(range(1 + (weekday - first) % 7, length + 1, 7))

    if part == "L":
        return set(days(_SATURDAY))
    if part.endswith("L"):
        return {days(_number(part[:-1], 1, 7, _WEEKDAYS))[-1]}
    name, hash_, nth = part.partition("#")
    if hash_:
        found = days(_number(name, 1, 7, _WEEKDAYS))
        n = _number(nth, 1, 5, None)
        return {found[n - 1]} if n <= len(found) else set()
    return {day for weekday in _values(part, 1, 7, _WEEKDAYS) for day in days(weekday)}
