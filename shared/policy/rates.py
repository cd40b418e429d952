"""When the messages of an account may go: a generic cell rate algorithm that gives places in advance. Pure.

A lane is a row of places, one each interval; a message may go up to `burst - 1` intervals before its place. Of each
lane only its end is known: who wants places adds them there, and whoever comes next gets those behind. So any number of
functions take places with one write each, and none of them asks again until its place has come.

Times are integers, in microseconds since the epoch, so that the places of fast accounts do not drift.
"""

from math import ceil
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.model.accounts import Account, Rate

SECOND = 1_000_000
DAY = 86_400 * SECOND
Origin = Literal["account", "verified", "provider"]
FOREVER = 10**18
"""Later than any place."""


class Lane(Struct, frozen=True):
    """The places of one rate."""

    interval: int
    """The time between two places, in microseconds."""
    burst: int
    per_day: int | None = None
    """The most places on a day in UTC."""

    @property
    def slack(self) -> int:
        """How long before its place a message may go."""
        return (self.burst - 1) * self.interval


class Lanes(Struct, frozen=True):
    """The lanes of an account."""

    main: Lane
    code: Lane | None = None
    """For codes alone; None if they have none of their own."""


class Booked(Struct, frozen=True):
    """What is taken of a lane."""

    end: int = 0
    """Where the next place is."""
    day: int = 0
    used: int = 0
    """Places on that day (days since the epoch)."""


class Claim(Struct, frozen=True):
    """Places that can be had, as far as is known."""

    count: int
    """How many."""
    idle: bool
    """They begin now, since the lane's end is past; otherwise at its end, as long as that is at most `most`."""
    most: int
    day: int
    """On which they all are."""
    fresh: bool
    """None is taken of that day."""
    ready: int
    """When the last message that wants a place could go; if there is not a place for each, when the next may be had."""


MINUTE_MS = 62_000
"""The minute of which a run's throttle speaks, and two seconds: a queue takes up to that longer with some than with
others, and people count where messages arrive."""


class Paced(Struct, frozen=True):
    """What a run has queued."""

    end: int = 0
    """When its share of time ends, in microseconds since the epoch."""
    sent: tuple[tuple[int, int], ...] = ()
    """When so many messages went, in milliseconds since the epoch, as long as they count."""


def pace(paced: Paced, messages: int, per_minute: float, now: int, ahead: int) -> tuple[int, Paced]:
    """When so many messages may go, in milliseconds since the epoch, and what is known once they have gone now.

    They go evenly, at most `ahead` milliseconds before their share of time begins; and no minute ever holds more than
    `per_minute`, unless these alone are more.
    """
    sent = [(at, count) for at, count in paced.sent if at > now - MINUTE_MS]
    ready, room = max(now, paced.end // 1000 - ahead), max(1, int(per_minute)) - messages
    taken = sum(count for _, count in sent)
    for at, count in sent:
        if taken <= max(0, room):
            break
        taken, ready = taken - count, max(ready, at + MINUTE_MS)
    end = max(paced.end, now * 1000) + ceil(messages * 60 * SECOND / per_minute)
    if sent and sent[-1][0] // 1000 == now // 1000:
        # Those of a second count as the last of them, so that there are never many.
        messages += sent.pop()[1]
    return ready, Paced(end, (*sent, (now, messages)))


def effective(account: Account, default: Rate | None) -> tuple[Rate | None, Origin]:
    """The rate that counts for an account, and where it is from: `account`, `verified` or `provider`.

    default: its provider's, for accounts that set none.
    """
    if account.rate is not None:
        return account.rate, "account"
    if account.verified_rate is not None:
        return account.verified_rate, "verified"
    return default, "provider"


def lanes_of(rate: Rate) -> Lanes:
    """The lanes of a rate; together they are never faster than it."""
    share = round(rate.code_share, 2)
    if share == 0 or rate.burst == 1:
        return Lanes(Lane(_interval(rate.per_second), rate.burst, rate.per_day))
    burst = max(1, round(rate.burst * share))
    daily = None if rate.per_day is None else int(rate.per_day * share)
    return Lanes(
        Lane(
            _interval(rate.per_second * (1 - share)),
            rate.burst - burst,
            None if rate.per_day is None or daily is None else rate.per_day - daily,
        ),
        Lane(_interval(rate.per_second * share), burst, daily),
    )


def _interval(per_second: float) -> int:
    return max(1, ceil(SECOND / per_second))


def claim(lane: Lane, booked: Booked, now: int, wanted: int, until: int = FOREVER) -> Claim:
    """The places of a lane that begin before `until`, and all on one day if days count; up to `wanted`."""
    idle = booked.end < now
    first = max(booked.end, now)
    begins = max(now, first - lane.slack)
    day = max(begins // DAY, booked.day)
    fresh = day > booked.day
    bound, left = until, wanted
    if lane.per_day is not None:
        bound = min(until, (day + 1) * DAY)
        left = lane.per_day - (0 if fresh else booked.used)
    count = 0
    if begins < bound:
        count = max(0, min(wanted, left, -(-(bound + lane.slack - first) // lane.interval)))
    most = bound - 1 + lane.slack - max(count - 1, 0) * lane.interval
    if count == wanted:
        ready = max(now, first + (wanted - 1) * lane.interval - lane.slack)
    elif count == max(left, 0):
        ready = max((day + 1) * DAY, begins)
    else:
        ready = max(bound, begins)
    return Claim(count, idle, most, day, fresh, ready)


def pick(lanes: Lanes, main: Booked, code: Booked, now: int, wanted: int, until: int, codes: bool) -> tuple[str, Claim]:
    """The lane from which to take places, and which. Codes go where they come first; all else has but the main lane."""
    by_main = claim(lanes.main, main, now, wanted, until)
    if not codes or lanes.code is None:
        return "main", by_main
    by_code = claim(lanes.code, code, now, wanted, until)
    if by_main.ready > by_code.ready or by_main.count < by_code.count:
        return "code", by_code
    if by_main.count < wanted:
        return "main", by_main
    # Only as long as it is so: others may have taken places of it since.
    behind = by_code.ready + lanes.main.slack - (wanted - 1) * lanes.main.interval
    return "main", replace(by_main, most=min(by_main.most, behind))


def starts(lane: Lane, first: int, count: int, now: int) -> list[int]:
    """When the messages of places that begin at `first` may go, in milliseconds since the epoch."""
    return [-(-max(now, first + k * lane.interval - lane.slack) // 1000) for k in range(count)]
