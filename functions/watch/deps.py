"""Wires the functions of the watch: the sweep, and the API that says how the platform is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.watch.deferred import DeferredReader
from functions.watch.following import Follower
from functions.watch.function import HealthSettings, SweepSettings
from functions.watch.given_up import GivenUp
from functions.watch.health import HealthReader
from functions.watch.hours import Hours
from functions.watch.runs import OpenRuns
from functions.watch.schedules import OverdueSchedules
from functions.watch.sweep import Sweep
from shared.api.kit import Api
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import Queues
from shared.aws.schedules import DueSchedules, Schedules
from shared.aws.stream import EventStream, StreamLag, StreamReader
from shared.aws.tasks import Tasks
from shared.lifecycle.redrive import Redriver
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.dead_letters import DeadLetterStore
from shared.store.health import HealthStore
from shared.store.ledger import Ledger
from shared.store.marks import Marks
from shared.store.timeline import Timeline

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
    settings = SweepSettings.load()
    clock = service_clock(settings.catalog_table)
    dynamodb, sqs, kinesis, scheduler = client("dynamodb"), client("sqs"), client("kinesis"), client("scheduler")
    # One pool for tables and one for schedules: no task of either waits for another.
    pool = ThreadPoolExecutor(THREADS, "watch")
    timeline = Timeline(dynamodb, settings.timeline_table, pool)
    counters, marks = Counters(dynamodb, settings.counters_table), Marks(dynamodb, settings.counters_table)
    stream = EventStream(kinesis, settings.stream_name)
    schedules = Schedules(scheduler, settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn)
    queues = Queues(sqs, settings.queue_urls, schedules, clock)
    campaigns = Campaigns(dynamodb, settings.catalog_table, clock)
    follower = Follower(timeline, campaigns, Ledger(dynamodb, settings.guard_table, clock), stream, clock)
    sweep = Sweep(
        catalog=Catalog(dynamodb, settings.catalog_table, clock),
        schedules=OverdueSchedules(
            DueSchedules(scheduler, settings.schedule_group),
            sqs,
            (*settings.queue_urls.values(), settings.campaigns_url),
            settings.schedules_dlq_url,
            clock,
            pool,
        ),
        redriver=Redriver(DeadLetterStore(dynamodb, settings.catalog_table), queues, stream, clock, pool),
        runs=OpenRuns(campaigns, Tasks(sqs, settings.campaigns_url)),
        given_up=GivenUp(StreamReader(kinesis), stream, counters, sqs, settings.trace_dlq_url, clock),
        hours=Hours(timeline, counters, marks, follower, clock),
        lag=StreamLag(kinesis, settings.stream_name),
        counters=counters,
        marks=marks,
        clock=clock,
    )
    return Watch(sweep, EphemeralMetrics(), settings.schedule_group)


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    settings, dynamodb = HealthSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    counters = Counters(dynamodb, settings.counters_table)
    reader = HealthReader(
        catalog=Catalog(dynamodb, settings.catalog_table, clock),
        counters=counters,
        routing=HealthStore(dynamodb, settings.catalog_table, counters),
        marks=Marks(dynamodb, settings.counters_table),
        lag=StreamLag(client("kinesis"), settings.stream_name),
        sqs=client("sqs"),
        queue_urls=settings.queue_urls,
        dlq_urls=settings.dlq_urls,
        schedules_dlq_url=settings.schedules_dlq_url,
        trace_dlq_url=settings.trace_dlq_url,
        clock=clock,
        pool=ThreadPoolExecutor(THREADS, "health"),
    )
    deferred = DeferredReader(
        DueSchedules(client("scheduler"), settings.schedule_group), ThreadPoolExecutor(THREADS, "deferred")
    )
    return Api(reader.operations() | deferred.operations())
