"""Answers how the platform is, in numbers and in words."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from functions.watch.afterwards import Afterwards
from functions.watch.findings import findings, warnings
from functions.watch.unreported import tells
from shared.api.health import AccountHealth, Health, HealthBalance, QueueView, ShardView, SweepView
from shared.api.kit import Call, OperationFunction
from shared.aws.queue import depth_of
from shared.aws.stream import StreamLag
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.words import OUTCOMES, Stage
from shared.policy.routing import FULL, Shift
from shared.store.accounts import AccountStore
from shared.store.counters import HOUR_MS, Counters, account_scope, in_flight
from shared.store.health import HealthStore
from shared.store.marks import HourMark, Marks, SweepMark

DAY_HOURS = 24
REPORTED = (Stage.DELIVERED, Stage.UNDELIVERED, f"{Stage.UNDELIVERED}.transient", Stage.DELAYED)
"""What says that receipts of an account come."""
FEW_TRIES = 3
"""So few failures say nothing about an account."""


@dataclass(frozen=True, slots=True)
class HealthReader:
    """The operation `get_health`."""

    accounts: AccountStore
    counters: Counters
    routing: HealthStore
    marks: Marks
    lag: StreamLag
    sqs: Any
    queue_urls: Mapping[str, str]
    """`queue_urls` and `dlq_urls`: by queue."""
    dlq_urls: Mapping[str, str]
    schedules_dlq_url: str
    """`schedules_dlq_url` and `trace_dlq_url`: see the settings."""
    trace_dlq_url: str
    afterwards: Afterwards
    clock: Clock
    pool: Executor
    """For several calls at once."""

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {"get_health": self.get_health}

    def get_health(self, call: Call) -> Health:
        """How the platform is for the caller's tenant. Raises: what AWS raises."""
        tenant, now = call.caller.tenant, self.clock.now_ms()
        shards = self.pool.submit(self.lag.by_shard, self.counters.checkpoint, now)
        known = self.accounts.list_accounts(tenant)
        shifts = self.routing.last_shifts(tenant, [account.id for account in known])
        accounts = self.pool.map(lambda a: self._account(a, shifts.get(a.id, FULL), now), known)
        queues = self.pool.map(self._queue, self.queue_urls)
        dead = self.pool.map(self._depth, (self.schedules_dlq_url, self.trace_dlq_url))
        sweep = self.marks.sweep()
        hours = list(self.marks.hours(tenant).values())
        schedules_dead, trace_dead = dead
        afterwards = self.afterwards.look(tenant)
        health = Health(
            verdict="healthy",
            findings=[],
            balance=self._balance(tenant, now),
            oldest_in_flight=_oldest(hours),
            in_flight_too_long=sum(hour.last.too_long for hour in hours),
            sweep=None if sweep is None else _sweep(sweep, hours, now),
            queues=list(queues),
            schedules_dead=schedules_dead,
            trace_dead=trace_dead,
            **afterwards,
            stream=[ShardView(shard=s, lag_seconds=ms / 1000) for s, ms in sorted(shards.result().items())],
            accounts=list(accounts),
        )
        health.findings = list(findings(health, now))
        health.warnings = list(warnings(health, now))
        health.verdict = "unhealthy" if health.findings else "warning" if health.warnings else "healthy"
        return health

    def _balance(self, tenant: str, now: int) -> HealthBalance:
        last = now // HOUR_MS
        total: Counter[str] = Counter()
        for counts in self.counters.read(f"{tenant}#tenant", last - DAY_HOURS + 1, last).values():
            total.update(counts)
        return HealthBalance(
            accepted=total[Stage.ACCEPTED],
            redriven=total[Stage.REDRIVEN],
            outcomes=sum(total[stage] for stage in OUTCOMES),
            in_flight=in_flight(total),
        )

    def _queue(self, name: str) -> QueueView:
        depth = depth_of(self.sqs, self.queue_urls[name])
        dead = self._depth(self.dlq_urls[name])
        return QueueView(name=name, waiting=depth.waiting, hidden=depth.hidden, delayed=depth.delayed, dead=dead)

    def _depth(self, url: str) -> int:
        depth = depth_of(self.sqs, url)
        return depth.waiting + depth.hidden + depth.delayed

    def _account(self, account: Account, shift: Shift, now: int) -> AccountHealth:
        last = now // HOUR_MS
        total: Counter[str] = Counter()
        day: Counter[str] = Counter()
        for hour, counts in self.counters.read(
            account_scope(account.tenant, account.id), last - DAY_HOURS, last
        ).items():
            # Of the latest messages receipts may be on their way.
            (total if hour >= last - 1 else day).update(counts)
        names = (Stage.SENT, Stage.RETRYING, Stage.FAILED, Stage.UNKNOWN, Stage.DEAD_LETTERED)
        counts_of = {stage.value: total[stage] for stage in names}
        verdict = judge(counts_of)
        return AccountHealth(
            account=account.id,
            provider=account.provider,
            state=account.state,
            verdict=verdict,
            **counts_of,
            sent_day=day[Stage.SENT],
            reported_day=sum(day[name] for name in REPORTED),
            tells=tells(account),
            factor=shift.factor,
            shifted_at=_time(shift.since) if shift.since else None,
            shift_reason=shift.reason or None,
        )


def judge(counts: Mapping[str, int]) -> Literal["healthy", "failing", "idle"]:
    """What the tries through an account say about it: it fails if more went wrong than was sent, and not just a few."""
    sent = counts[Stage.SENT]
    bad = sum(counts.values()) - sent
    if not sent + bad:
        return "idle"
    return "failing" if bad >= FEW_TRIES and bad > sent else "healthy"


def _oldest(hours: list[HourMark]) -> datetime | None:
    times = [hour.last.oldest for hour in hours if hour.last.oldest is not None]
    return _time(min(times)) if times else None


def _sweep(mark: SweepMark, hours: list[HourMark], now: int) -> SweepView:
    found: Counter[str] = Counter()
    for hour in hours:
        found.update(hour.last.found)
    return SweepView(
        at=_time(mark.at),
        age_seconds=max(0, now - mark.at) // 1000,
        duration_ms=mark.ms,
        unfinished=mark.unfinished,
        found=dict(found),
        mended=mark.mended,
        failed=mark.failed,
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
