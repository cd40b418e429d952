"""Wires the trace functions: the stream's consumer and the API that reads what it wrote."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.aggregate import Aggregator
from functions.trace.function import TraceApiSettings
from functions.trace.reading import Reading
from shared.api.kit import Api
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.stream import StreamReader
from shared.base.settings import TraceSettings
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.timeline import Timeline

THREADS = 8


@cache
def deps() -> Aggregator:
    """The stream's consumer, built on first use."""
    settings, dynamodb = TraceSettings.load(), client("dynamodb")
    timeline = Timeline(dynamodb, settings.timeline_table, ThreadPoolExecutor(THREADS, "timeline"))
    counters, reader = Counters(dynamodb, settings.counters_table), StreamReader(client("kinesis"))
    clock = service_clock(settings.counters_table)
    return Aggregator(timeline, counters, clock, settings.retention_days, reader)


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    settings, dynamodb = TraceApiSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    reading = Reading(
        Timeline(dynamodb, settings.timeline_table, ThreadPoolExecutor(THREADS, "timeline")),
        Counters(dynamodb, settings.counters_table),
        Catalog(dynamodb, settings.catalog_table, clock),
        clock,
    )
    return Api(reading.operations())
