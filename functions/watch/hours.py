"""Finds the hours whose messages have not all come to an end, and looks into each, as far as the time allows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from functions.watch.following import LOOK_AGAIN_MS, Follower
from shared.model.clock import Clock
from shared.store.counters import HOUR_MS, Counters, in_flight
from shared.store.kept_events import HOUR_BUCKETS
from shared.store.marks import HourMark, Look, Marks
from shared.store.timeline import Timeline

LOOK_AFTER_MS = 3_600_000
"""How long after its end an hour is looked into: what is younger is retried, delayed and redelivered by itself."""
RECENT_HOURS = 48
PAGE = 25
"""Requests that are read together, each of up to 1,000 messages, or a shard of a campaign's run."""


@dataclass(slots=True)
class Found:
    """What is known of a tenant's hours after a sweep."""

    hours: list[HourMark] = field(default_factory=list)
    mended: Counter[str] = field(default_factory=Counter)
    finished: bool = True
    """All that is due was looked into."""


class Hours:
    """Looks into the hours of tenants."""

    def __init__(self, timeline: Timeline, counters: Counters, marks: Marks, follower: Follower, clock: Clock) -> None:
        self._timeline = timeline
        self._counters = counters
        self._marks = marks
        self._follower = follower
        self._clock = clock

    def sweep(self, tenant: str, whole: bool, traced_ms: int, time_left: Callable[[], bool]) -> Found:
        """Look into a tenant's hours that do not balance and are due for a look.

        whole: read the counters of all hours, not of the last two days only. traced_ms: see `Follower.follow`.
        """
        found = Found()
        marks = self._open_hours(tenant, whole)
        found.hours = list(marks.values())
        # Who was looked into longest ago comes first, so that one large hour does not keep the others waiting.
        for mark in sorted(marks.values(), key=lambda mark: (mark.looked_at, mark.hour)):
            if not self._due(mark):
                continue
            if not time_left():
                found.finished = False
                break
            found.finished &= self._look(tenant, mark, traced_ms, time_left, found.mended)
            self._marks.write_hour(tenant, mark)
        return found

    def _open_hours(self, tenant: str, whole: bool) -> dict[int, HourMark]:
        """The hours that do not balance, with what is known of them."""
        now = self._clock.now_ms()
        last = (now - LOOK_AFTER_MS) // HOUR_MS - 1
        first = 0 if whole else last - RECENT_HOURS
        marks = self._marks.hours(tenant)
        read = self._counters.read(f"{tenant}#tenant", first, last)
        open_hours = {hour: count for hour, counts in read.items() if (count := in_flight(counts))}
        for hour in [hour for hour in marks if hour >= first and hour not in open_hours]:
            self._marks.forget_hour(tenant, hour)
            del marks[hour]
        for hour, count in open_hours.items():
            marks.setdefault(hour, HourMark(hour=hour, in_flight=count)).in_flight = count
        return marks

    def _due(self, mark: HourMark) -> bool:
        again_at = mark.last.again_at
        return mark.running is not None or again_at is None or again_at <= self._clock.now_ms()

    def _look(
        self, tenant: str, mark: HourMark, traced_ms: int, time_left: Callable[[], bool], mended: Counter[str]
    ) -> bool:
        """Look into an hour from where the last look stopped; whether it came to the end."""
        mark.looked_at = self._clock.now_ms()
        look = mark.running = mark.running or Look()
        while mark.bucket < HOUR_BUCKETS:
            if not time_left():
                return False
            requests = self._timeline.requests_of_hour(tenant, mark.hour, mark.bucket, mark.after, PAGE)
            mended.update(self._follower.follow(tenant, requests, traced_ms, look) if requests else {})
            if len(requests) == PAGE:
                mark.after = requests[-1]
            else:
                mark.bucket, mark.after = mark.bucket + 1, ""
        self._compare(tenant, mark, look)
        mark.last, mark.running, mark.bucket = look, None, 0
        return True

    def _compare(self, tenant: str, mark: HourMark, look: Look) -> None:
        """Note what the counters have and the timeline has not, or the other way round."""
        counts = self._counters.read(f"{tenant}#tenant", mark.hour, mark.hour).get(mark.hour, Counter())
        again_at = mark.looked_at + LOOK_AGAIN_MS
        left = in_flight(counts) - sum(look.found.values()) - look.mended
        if in_flight(counts) < 0:
            look.add("overcounted", -in_flight(counts), mark.hour * HOUR_MS, again_at, too_long=True)
        elif left > 0:
            look.add("not_found", left, mark.hour * HOUR_MS, again_at, too_long=True)
        if look.again_at is None:
            look.again_at = again_at
