"""What is usual of a prefix at an hour: how many codes were asked for on the days before. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from shared.model.pumping import Counts, HourCounts, Recent, Usual, UsualTable

USUAL_DAYS: Final = 7


def usual_at(hour: int, hours: Mapping[int, HourCounts], first: int) -> UsualTable:
    """What is usual at an hour: the median of the same hour, and of the one before it, on the last seven days.

    hours: by hour since the epoch; one that is missing had nothing. first: the first hour of which anything is known.
    """
    days = [day for day in range(1, USUAL_DAYS + 1) if hour - 24 * day >= first]
    last_day = [found for back in range(1, 25) if (found := hours.get(hour - back)) is not None]
    names = {name for each in hours.values() for name in each.started}
    table = {name: _usual(name, hour, hours, days, last_day) for name in names}
    return UsualTable(hour, {name: found for name, found in table.items() if found != Usual()})


def _usual(
    name: str, hour: int, hours: Mapping[int, HourCounts], days: Sequence[int], last_day: Sequence[HourCounts]
) -> Usual:
    nothing = HourCounts()

    def at(back: int) -> float:
        # An hour that slides lies across two of the clock's.
        found = [hours.get(hour - back - 24 * day, nothing).started.get(name, 0) for day in days]
        return median(found) if found else 0.0

    whole = [hours.get(hour - 1 - 24 * day, nothing).day.get(name, 0) for day in days]
    return Usual(
        max(at(0), at(1)),
        median(whole) if whole else 0.0,
        sum(each.started.get(name, 0) for each in last_day),
        sum(each.approved.get(name, 0) for each in last_day),
    )


def hour_counts(hour: int, recent: Recent, hours: Mapping[int, HourCounts]) -> HourCounts:
    """What an hour had, from its minutes; hours: the 23 before it."""
    minutes = range(60 * hour, 60 * hour + 60)
    started = _summed(recent.started[minute] for minute in minutes if minute in recent.started)
    approved = _summed(recent.approved[minute] for minute in minutes if minute in recent.approved)
    before = (hours[hour - back].started for back in range(1, 24) if hour - back in hours)
    return HourCounts(started, approved, _summed([started, *before]))


def _summed(counts: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for each in counts:
        for name, n in each.items():
            total[name] = total.get(name, 0) + n
    return total
