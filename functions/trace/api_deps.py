"""Wires the API that reads what the trace wrote."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.trace.function import TraceApiSettings
from functions.trace.operations import Reading
from functions.trace.unmasking import Unmasking
from shared.api.kit import Api
from shared.wiring.parts import Parts

THREADS = 8


@cache
def deps() -> Api:
    """The API, built on first use."""
    parts = Parts(TraceApiSettings.load(), pool=ThreadPoolExecutor(THREADS, "timeline"))
    return Api(reading_of(parts).operations())


def reading_of(parts: Parts) -> Reading:
    """What says what happened."""
    unmasking = Unmasking(parts.catalog, parts.audit_log, parts.clock)
    return Reading(parts.timeline, parts.counters, parts.catalog, parts.versions, parts.clock, unmasking)
