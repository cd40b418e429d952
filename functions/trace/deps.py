"""Wires the stream's consumer."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.aggregate import Aggregator
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


def aggregator_of(parts: Parts) -> Aggregator:
    """What counts and keeps events."""
    days = parts.settings.retention_days
    return Aggregator(parts.timeline, parts.counters, parts.clock, days, parts.stream_reader)
