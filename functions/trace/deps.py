"""Wires the trace functions: the stream's consumer and the API that reads what it wrote."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.aggregate import Aggregator
from functions.trace.function import TraceApiSettings
from functions.trace.operations import Reading
from functions.trace.unmasking import Unmasking
from shared.api.kit import Api
from shared.aws.clock import service_clock
from shared.base.settings import TraceSettings
from shared.wiring.parts import Parts

THREADS = 8


@cache
def deps() -> Aggregator:
    """The stream's consumer, built on first use."""
    settings = TraceSettings.load()
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
    days = parts.settings.retention_days
    return Aggregator(parts.timeline, parts.counters, parts.clock, days, parts.stream_reader)


def reading_of(parts: Parts) -> Reading:
    """What says what happened."""
    unmasking = Unmasking(parts.catalog, parts.audit_log, parts.clock)
    return Reading(parts.timeline, parts.counters, parts.catalog, parts.clock, unmasking)
