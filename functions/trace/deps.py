"""Wires the trace functions: the stream's consumer and the API that reads what it wrote."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.aggregate import Aggregator
from functions.trace.function import AggregateSettings, TraceApiSettings
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
    settings = AggregateSettings.load()
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
    retention = Retention(parts.tenants, parts.clock, parts.settings.retention_days)
    veiled = Veiler(parts.veils, parts.timeline)
    return Aggregator(parts.timeline, parts.counters, parts.clock, retention, parts.stream_reader, veiled)


def reading_of(parts: Parts) -> Reading:
    """What says what happened."""
    return Reading(parts.timeline, parts.counters, parts.catalog, parts.versions, parts.clock)
