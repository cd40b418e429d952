"""Wires the function that asks providers for receipts."""

from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.pulling.asking import Asker
from functions.pulling.function import PullingSettings
from shared.dispatch.accounts import Accounts
from shared.store.tokens import MemoryTokenCache
from shared.wiring.parts import Parts


@dataclass(frozen=True, slots=True)
class PullingDeps:
    """What asks, where it counts what came of it, and for which deployment."""

    asker: Asker
    metrics: EphemeralMetrics
    deployment: str


@cache
def deps() -> PullingDeps:
    """The function's parts, built on first use."""
    settings = PullingSettings.load()
    return PullingDeps(asker_of(Parts(settings), settings), EphemeralMetrics(), settings.deployment)


def asker_of(parts: Parts, settings: PullingSettings) -> Asker:
    """What asks. Its tokens, if a provider needs any, are its own."""
    tokens = MemoryTokenCache(parts.clock)
    accounts = Accounts(parts.catalog, parts.secrets, tokens, parts.clock, settings.network, settings.deployment)
    return Asker(parts.catalog, accounts, parts.receipt_queue, parts.clock)
