"""Wires the function that takes receipts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.receipts.falling import Falling
from functions.receipts.function import ReceiptsSettings
from functions.receipts.listing import Listing
from functions.receipts.matching import Matcher
from functions.receipts.receiving import Receiver
from functions.receipts.soft_bounces import SoftBounces
from shared.wiring.parts import Parts

THREADS = 10


@dataclass(frozen=True, slots=True)
class ReceiptsDeps:
    """What takes receipts, and where it counts them."""

    receiver: Receiver
    metrics: EphemeralMetrics


@cache
def deps() -> ReceiptsDeps:
    """The function's parts, built on first use."""
    parts = Parts(ReceiptsSettings.load(), pool=ThreadPoolExecutor(THREADS, "receipts"))
    return ReceiptsDeps(receiver_of(parts), EphemeralMetrics())


def receiver_of(parts: Parts) -> Receiver:
    """What takes receipts."""
    matcher = Matcher(parts.timeline, parts.catalog, parts.pool)
    return Receiver(
        matcher,
        Listing(parts.suppressions, SoftBounces(parts.timeline)),
        Falling(parts.awaiting, parts.queues, parts.receipt_queue, parts.stream, parts.clock),
        parts.receipt_queue,
        parts.stream,
        parts.clock,
    )
