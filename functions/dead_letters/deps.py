"""Wires the functions of dead letters: the consumer of their queues, and the API."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.dead_letters.function import DecidingSettings, KeeperSettings
from functions.dead_letters.keeping import Keeper
from functions.dead_letters.operations import Deciding
from shared.api.audit import Auditor
from shared.api.kit import Api
from shared.dispatch.outlet import Outlet
from shared.wiring.parts import Parts

THREADS = 10


@dataclass(frozen=True, slots=True)
class Consumer:
    """The queues' consumer, and where it counts what it keeps."""

    keeper: Keeper
    metrics: EphemeralMetrics


@cache
def deps() -> Consumer:
    """The queues' consumer, built on first use."""
    return Consumer(keeper_of(Parts(KeeperSettings.load())), EphemeralMetrics())


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    return Api(deciding_of(Parts(DecidingSettings.load(), pool=ThreadPoolExecutor(THREADS, "letter"))).operations())


def keeper_of(parts: Parts) -> Keeper:
    """What keeps dead letters."""
    outlet = Outlet(parts.queues, parts.ledger, parts.releases, parts.clock)
    return Keeper(parts.letters, parts.ledger, parts.releases, outlet, parts.stream, parts.clock, parts.keeping)


def deciding_of(parts: Parts) -> Deciding:
    """What redrives and discards them."""
    auditor = Auditor(parts.keys, parts.clock)
    return Deciding(parts.letters, parts.redriver, auditor, parts.audit_log, parts.clock, parts.keys)
