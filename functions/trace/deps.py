"""Wires the trace functions: the stream's consumer and the API that reads what it wrote."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.trace.aggregate import Aggregator
from functions.trace.function import AggregatorSettings, TraceApiSettings
from functions.trace.live import Live
from functions.trace.operations import Reading
from functions.trace.retention import Retention
from functions.trace.veiling import Veiler
from shared.api.kit import Api
from shared.aws.clock import service_clock
from shared.wiring.parts import Parts

THREADS = 8


@cache
def deps() -> Aggregator:
    """The stream's consumer, built on first use."""
    settings = AggregatorSettings.load()
    # Others ask the catalog for the time, which it may not read.
    clock = service_clock(settings.counters_table)
    return aggregator_of(Parts(settings, pool=ThreadPoolExecutor(THREADS, "timeline"), clock=clock))


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    parts = Parts(TraceApiSettings.load(), pool=ThreadPoolExecutor(THREADS, "timeline"))
    return Api(reading_of(parts).operations())


def aggregator_of(parts: Parts) -> Aggregator:
    """What counts and keeps events."""
    settings = parts.settings
    retention = Retention(parts.tenants, parts.clock, settings.retention_days)
    live = Live(EphemeralMetrics(), settings.deployment, by_account=settings.account_metrics)
    veiled = Veiler(parts.veils, parts.timeline)
    return Aggregator(parts.timeline, parts.counters, parts.clock, retention, parts.stream_reader, live, veiled)


def reading_of(parts: Parts) -> Reading:
    """What says what happened."""
    return Reading(parts.timeline, parts.counters, parts.catalog, parts.versions, parts.clock)
