"""Wires the stream's consumer."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.aggregate import Aggregator
from functions.trace.function import AggregateSettings
from functions.trace.retention import Retention
from functions.trace.veiling import Veiler
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


def aggregator_of(parts: Parts) -> Aggregator:
    """What counts and keeps events."""
    retention = Retention(parts.tenants, parts.clock, parts.settings.retention_days)
    veiled = Veiler(parts.veils, parts.timeline)
    return Aggregator(parts.timeline, parts.counters, parts.clock, retention, parts.stream_reader, veiled)
