"""Wires the function that takes receipts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.receipts.cards import Cards
from functions.receipts.converting import Converting
from functions.receipts.falling import Falling
from functions.receipts.function import ReceiptsSettings
from functions.receipts.listing import Listing
from functions.receipts.matching import Matcher
from functions.receipts.receiving import Receiver
from functions.receipts.soft_bounces import SoftBounces
from shared.acceptance.addresses import Seals
from shared.wiring.accounts import AccountParts
from shared.wiring.parts import Later

THREADS = 10


@dataclass(frozen=True, slots=True)
class ReceiptsDeps:
    """What takes receipts, and where it counts them."""

    receiver: Receiver
    metrics: EphemeralMetrics


@cache
def deps() -> ReceiptsDeps:
    """The function's parts, built on first use."""
    parts = AccountParts(ReceiptsSettings.load(), pool=ThreadPoolExecutor(THREADS, "receipts"))
    return ReceiptsDeps(receiver_of(parts), EphemeralMetrics())


def receiver_of(parts: AccountParts) -> Receiver:
    """What takes receipts."""
    matcher = Matcher(parts.timeline, parts.catalog, parts.pool)
    return Receiver(
        matcher,
        Listing(parts.suppressions, SoftBounces(parts.timeline)),
        Falling(parts.awaiting, parts.queues, parts.receipt_queue, parts.stream, parts.clock, Seals(parts.catalog)),
        # Few cards are to be changed, and what connects to WeCom takes its time to be made.
        Cards(parts.catalog, cast(Any, Later(lambda: parts.accounts)), parts.receipt_queue),
        Converting(parts.catalog, cast(Any, Later(lambda: parts.accounts)), parts.receipt_queue, parts.pool),
        parts.receipt_queue,
        parts.stream,
        parts.clock,
    )
