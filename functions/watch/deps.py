"""Wires the functions of the watch: the sweep, and the API that says how the platform is."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.watch.afterwards import Afterwards
from functions.watch.deferred import DeferredReader
from functions.watch.following import Follower
from functions.watch.function import HealthSettings, SweepSettings
from functions.watch.given_up import GivenUp
from functions.watch.health import HealthReader
from functions.watch.hours import Hours
from functions.watch.runs import OpenRuns
from functions.watch.schedules import OverdueSchedules
from functions.watch.sweep import Sweep
from functions.watch.unreported import Unreported
from shared.api.kit import Api
from shared.wiring.parts import Parts

THREADS = 16


@dataclass(frozen=True, slots=True)
class Watch:
    """The sweep, its metrics, and the name of the deployment that they carry."""

    sweep: Sweep
    metrics: EphemeralMetrics
    deployment: str


@cache
def deps() -> Watch:
    """The sweep, built on first use."""
    # One pool for tables and one for schedules: no task of either waits for another.
    pool = ThreadPoolExecutor(THREADS, "watch")
    parts = Parts(SweepSettings.load(), pool=pool)
    return Watch(sweep_of(parts, pool), EphemeralMetrics(), parts.settings.schedule_group)


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    parts = Parts(HealthSettings.load())
    deferred = DeferredReader(parts.due_schedules, ThreadPoolExecutor(THREADS, "deferred"))
    return Api(health_of(parts, ThreadPoolExecutor(THREADS, "health")).operations() | deferred.operations())


def sweep_of(parts: Parts, pool: Executor) -> Sweep:
    """What finds what got stuck."""
    settings, clock, sqs = parts.settings, parts.clock, parts.client("sqs")
    follower = Follower(parts.timeline, parts.campaigns, parts.ledger, parts.stream, clock)
    return Sweep(
        tenants=parts.tenants,
        schedules=OverdueSchedules(
            parts.due_schedules,
            sqs,
            (*settings.queue_urls.values(), settings.campaigns_url),
            settings.schedules_dlq_url,
            clock,
            pool,
        ),
        redriver=parts.redriver,
        runs=OpenRuns(parts.campaigns, parts.tasks),
        given_up=GivenUp(parts.stream_reader, parts.stream, parts.counters, sqs, settings.trace_dlq_url, clock),
        hours=Hours(parts.timeline, parts.counters, parts.marks, follower, clock),
        lag=parts.stream_lag,
        unreported=Unreported(parts.account_store, parts.counters),
        counters=parts.counters,
        marks=parts.marks,
        clock=clock,
    )


def health_of(parts: Parts, pool: Executor) -> HealthReader:
    """What answers how the platform is."""
    settings = parts.settings
    return HealthReader(
        accounts=parts.account_store,
        counters=parts.counters,
        routing=parts.health,
        marks=parts.marks,
        lag=parts.stream_lag,
        sqs=parts.client("sqs"),
        queue_urls=settings.queue_urls,
        dlq_urls=settings.dlq_urls,
        schedules_dlq_url=settings.schedules_dlq_url,
        trace_dlq_url=settings.trace_dlq_url,
        afterwards=Afterwards(
            parts.letters,
            parts.webhooks,
            parts.deliveries,
            parts.client("sqs"),
            settings.receipts_dlq_url,
            settings.webhooks_dlq_url,
        ),
        clock=parts.clock,
        pool=pool,
    )
