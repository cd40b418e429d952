"""One sweep: each part of the platform in turn, as far as the time allows, and a mark of what was found."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from functions.watch.given_up import GivenUp
from functions.watch.hours import Hours
from functions.watch.runs import OpenRuns
from functions.watch.schedules import OverdueSchedules
from functions.watch.unreported import Unreported, is_due
from functions.watch.work import Done
from shared.aws.errors import AWS_ERRORS
from shared.aws.stream import StreamLag
from shared.base.logs import log_error
from shared.lifecycle.redrive import Redriver
from shared.model.clock import Clock
from shared.store.counters import Counters
from shared.store.marks import Marks, SweepMark
from shared.store.tenants import TenantStore

logger = Logger(child=True)

RESERVE_MS = 30_000
"""Kept back for what is under way and for the mark."""
WHOLE_MS = 3_600_000
"""How often the counters of all hours are read: redrives change old ones."""
TRACE_GIVES_UP_MS = 24 * 3_600_000
"""The trace gives a record up when it is that old (`functions/trace/function.py`), however far behind it is."""
TRACED_MARGIN_MS = 900_000
"""Between recording an outcome and putting its event: a function's time, and a redelivery's."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Everything that a sweep looks at."""

    tenants: TenantStore
    schedules: OverdueSchedules
    redriver: Redriver
    runs: OpenRuns
    given_up: GivenUp
    hours: Hours
    lag: StreamLag
    unreported: Unreported
    counters: Counters
    marks: Marks
    clock: Clock

    def run(self, remaining_ms: Callable[[], int]) -> SweepMark:
        """Sweep once and leave a mark. What breaks off in one part is noted and does not keep the others back."""
        before = self.marks.sweep()
        now = self.clock.now_ms()
        mark = SweepMark(at=now, whole_at=before.whole_at if before else 0)
        time_left = lambda: remaining_ms() > RESERVE_MS  # noqa: E731 - a name for what every part asks
        self._part(mark, "schedules", lambda: _note(mark, self.schedules.fire(time_left)))
        self._part(mark, "schedules_dlq", lambda: _note(mark, self.schedules.redeliver(time_left)))
        self._part(mark, "redrives", lambda: self._redrives(mark, now + max(0, remaining_ms() - RESERVE_MS) // 2))
        self._part(mark, "runs", self._runs)
        # Before the hours are judged by what is counted and kept.
        self._part(mark, "trace", lambda: _note(mark, self.given_up.replay(time_left)))
        self._part(mark, "hours", lambda: self._hours(mark, time_left))
        if is_due(now, before.at if before else None):
            self._part(mark, "unreported", lambda: self._unreported(mark, now))
        mark.ms = self.clock.now_ms() - now
        self.marks.write_sweep(mark)
        return mark

    def _part(self, mark: SweepMark, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # of any kind: one part must not keep the others back
            log_error(logger, "a part of the sweep broke off", error, part=name)
            mark.failed.append(name)

    def _redrives(self, mark: SweepMark, until: int) -> None:
        tally = self.redriver.resume(until)
        if tally.carried_on:
            mark.mended["redrives_resumed"] = tally.carried_on
        mark.unfinished |= tally.left

    def _runs(self) -> None:
        for tenant in self.tenants.list_tenants():
            self.runs.drive(tenant)

    def _unreported(self, mark: SweepMark, now: int) -> None:
        for tenant in self.tenants.list_tenants():
            mark.no_receipt |= self.unreported.count(tenant, now)

    def _hours(self, mark: SweepMark, time_left: Callable[[], bool]) -> None:
        whole = mark.at - mark.whole_at >= WHOLE_MS
        traced_ms = mark.at - TRACED_MARGIN_MS - self._trace_lag(mark)
        finished = True
        for tenant in self.tenants.list_tenants():
            found = self.hours.sweep(tenant, whole, traced_ms, time_left)
            finished &= found.finished
            _add(mark.mended, found.mended)
            for hour in found.hours:
                _add(mark.found, hour.last.found)
                mark.too_long += hour.last.too_long
        mark.unfinished |= not finished
        if whole and finished:
            mark.whole_at = mark.at

    def _trace_lag(self, mark: SweepMark) -> int:
        """How far behind the trace may be with records that it has not given up."""
        try:
            lags = self.lag.by_shard(self.counters.checkpoint, mark.at)
        except AWS_ERRORS as error:
            log_error(logger, "the stream's lag cannot be told", error)
            mark.failed.append("lag")
            return TRACE_GIVES_UP_MS
        return min(max(lags.values(), default=0), TRACE_GIVES_UP_MS)


def _note(mark: SweepMark, done: Done) -> None:
    _add(mark.mended, done.mended)
    _add(mark.found, done.found)
    mark.unfinished |= not done.finished


def _add(to: dict[str, int], counts: Counter[str] | dict[str, int]) -> None:
    for name, count in counts.items():
        if count:
            to[name] = to.get(name, 0) + count
