"""Wires the stream's consumer."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.trace.aggregate import Aggregator
from functions.trace.function import AggregatorSettings
from functions.trace.live import Live
from functions.trace.retention import Retention
from functions.trace.veiling import Veiler
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


def aggregator_of(parts: Parts) -> Aggregator:
    """What counts and keeps events."""
    settings = parts.settings
    retention = Retention(parts.tenants, parts.clock, settings.retention_days)
    live = Live(EphemeralMetrics(), settings.deployment, by_account=settings.account_metrics)
    veiled = Veiler(parts.veils, parts.timeline)
    return Aggregator(parts.timeline, parts.counters, parts.clock, retention, parts.stream_reader, live, veiled)
