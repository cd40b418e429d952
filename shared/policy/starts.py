"""When the schedule of a campaign starts runs."""

from shared.model.campaigns import Schedule
from shared.policy.cron import Expression, firings, parse

FIRST_ZONE = "Pacific/Kiritimati"
"""Where it is any time of day first on earth: a schedule by recipients' own clocks starts its run then."""
NEXT = 5
"""How many firings are told ahead."""


def zone_of(schedule: Schedule, default: str) -> str:
    """The time zone in which a schedule is read. default: the tenant's."""
    return FIRST_ZONE if schedule.local else schedule.time_zone or default


def expression_of(schedule: Schedule, default: str = "UTC") -> Expression:
    """A schedule's expression, read. Raises: ExpressionError."""
    return parse(schedule.expression, zone_of(schedule, default))


def next_starts(schedule: Schedule, now: int, default: str = "UTC", count: int = NEXT) -> list[int]:
    """When the next runs start, after `now`; times in milliseconds since the epoch. Raises: ExpressionError."""
    return firings(expression_of(schedule, default), now, count, schedule.starts_at, schedule.ends_at)
