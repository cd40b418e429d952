"""Answers how the platform is, in numbers and in words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared.api.health import AccountHealth, Finding, Health, HealthBalance, QueueView, ShardView, SweepView
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
MAX_LAG_S = 300
MAX_SWEEP_AGE_S = 1800
FEW_TRIES = 3
"""So few failures say nothing about an account."""

MEANINGS = {
    "waiting": "wait on a queue",
    "leased": "are being worked on",
    "lease_expired": "were left by a function that died",
    "retry_overdue": "wait for a retry that is overdue",
    "untraced": "have no events to go by",
    "not_found": "are counted and cannot be found",
    "overcounted": "have more outcomes than were accepted",
}


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
            stream=[ShardView(shard=s, lag_seconds=ms / 1000) for s, ms in sorted(shards.result().items())],
            accounts=list(accounts),
        )
        health.findings = list(findings(health, now))
        health.verdict = "unhealthy" if health.findings else "healthy"
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
        for counts in self.counters.read(account_scope(account.tenant, account.id), last - 1, last).values():
            total.update(counts)
        names = (Stage.SENT, Stage.RETRYING, Stage.FAILED, Stage.UNKNOWN, Stage.DEAD_LETTERED)
        counts_of = {stage.value: total[stage] for stage in names}
        verdict = judge(counts_of)
        return AccountHealth(
            account=account.id,
            provider=account.provider,
            state=account.state,
            verdict=verdict,
            **counts_of,
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


def findings(health: Health, now: int) -> Iterator[Finding]:
    """What is not as it should be at a time in milliseconds since the epoch, the worst first."""
    yield from _sweep_findings(health)
    yield from _message_findings(health)
    lag = max((shard.lag_seconds for shard in health.stream), default=0.0)
    if lag > MAX_LAG_S:
        yield Finding(
            problem=f"Timelines and counters are {_minutes(lag)} behind.",
            action="Read the log of the function trace; it tries again by itself.",
        )
    for account in health.accounts:
        if account.verdict == "failing":
            bad = account.retrying + account.failed + account.unknown + account.dead_lettered
            yield Finding(
                problem=f"The account {account.account} fails: {bad:,} tries went wrong, {account.sent:,} were sent.",
                action=f"Run `mepush account verify {account.account}`; look at the reasons of its messages.",
            )
        if account.factor < 1 and account.shifted_at is not None and _matters(account, account.shifted_at, now):
            yield Finding(
                problem=f"The account {account.account} has {account.factor:.0%} of its weight"
                f" since {account.shifted_at:%H:%M:%S} UTC: {account.shift_reason}.",
                action="Nothing: it gets its weight back step by step once its tries no longer go wrong.",
            )


def _matters(account: AccountHealth, shifted_at: datetime, now: int) -> bool:
    """Whether an account that lost weight is in use: it gets none back while nobody sends."""
    return account.verdict != "idle" or _time(now) - shifted_at < timedelta(hours=2)


def _sweep_findings(health: Health) -> Iterator[Finding]:
    read_log = "Read the log of the function watch; it tries again within five minutes."
    if health.sweep is None:
        yield Finding(problem="Nothing has looked for stuck messages yet.", action="Wait five minutes.")
        return
    if health.sweep.age_seconds > MAX_SWEEP_AGE_S:
        yield Finding(
            problem=f"Nothing has looked for stuck messages for {_minutes(health.sweep.age_seconds)}.", action=read_log
        )
    if health.sweep.failed:
        parts = ", ".join(health.sweep.failed)
        yield Finding(problem=f"The last search for stuck messages broke off in: {parts}.", action=read_log)


def _message_findings(health: Health) -> Iterator[Finding]:
    if health.in_flight_too_long:
        found = health.sweep.found if health.sweep else {}
        kinds = "; ".join(f"{found[kind]:,} {text}" for kind, text in MEANINGS.items() if found.get(kind))
        yield Finding(
            problem=f"{health.in_flight_too_long:,} messages have been in flight for too long: {kinds}.",
            action="See whether dispatch functions are throttled or fail; what is beyond its time to live is ended.",
        )
    dead = {queue.name: queue.dead for queue in health.queues if queue.dead}
    if dead:
        names = ", ".join(f"{count:,} in {name}" for name, count in dead.items())
        yield Finding(
            problem=f"Dead letters are not taken from their queues: {names}.",
            action="Read the log of the function dead_letters.",
        )
    if health.schedules_dead:
        yield Finding(
            problem=f"{health.schedules_dead:,} deferred envelopes could not be put on their queues.",
            action="The watch puts them there; what stays in the schedules' dead-letter queue cannot be read.",
        )
    if health.trace_dead:
        yield Finding(
            problem=f"{health.trace_dead:,} batches of events were given up by the trace.",
            action="Read the log of the function trace; what the ledgers hold is told again by the watch.",
        )


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


def _minutes(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
