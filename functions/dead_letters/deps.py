"""Wires the functions of dead letters: the consumer of their queues, and the API."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.dead_letters.deciding import Deciding
from functions.dead_letters.function import DecidingSettings, KeeperSettings
from functions.dead_letters.keeping import Keeper
from shared.api.audit import Auditor
from shared.api.kit import Api
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import Queues
from shared.aws.schedules import Schedules
from shared.aws.stream import EventStream
from shared.base.settings import QueueSettings
from shared.dispatch.outlet import Outlet
from shared.lifecycle.held import Releases
from shared.lifecycle.redrive import Redriver
from shared.model.clock import Clock
from shared.store.audit import AuditLog
from shared.store.caps import Caps
from shared.store.catalog import Catalog
from shared.store.dead_letters import DeadLetterStore
from shared.store.duplicates import Duplicates
from shared.store.ledger import Ledger

THREADS = 10


@dataclass(frozen=True, slots=True)
class Consumer:
    """The queues' consumer, and where it counts what it keeps."""

    keeper: Keeper
    metrics: EphemeralMetrics


@cache
def deps() -> Consumer:
    """The queues' consumer, built on first use."""
    settings, dynamodb = KeeperSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    catalog, guard = Catalog(dynamodb, settings.catalog_table, clock), (dynamodb, settings.guard_table, clock)
    ledger, releases = Ledger(*guard), Releases(catalog, Duplicates(*guard), Caps(*guard))
    keeper = Keeper(
        DeadLetterStore(dynamodb, settings.catalog_table),
        ledger,
        releases,
        Outlet(_queues(settings, clock), ledger, releases, clock),
        EventStream(client("kinesis"), settings.stream_name),
        clock,
    )
    return Consumer(keeper, EphemeralMetrics())


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    settings, dynamodb = DecidingSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    store = DeadLetterStore(dynamodb, settings.catalog_table)
    stream = EventStream(client("kinesis"), settings.stream_name)
    pool = ThreadPoolExecutor(THREADS, "letter")
    redriver = Redriver(store, _queues(settings, clock), stream, clock, pool)
    catalog, audit_log = Catalog(dynamodb, settings.catalog_table, clock), AuditLog(dynamodb, settings.catalog_table)
    return Api(Deciding(store, redriver, Auditor(catalog, clock), audit_log, clock, catalog).operations())


def _queues(settings: QueueSettings, clock: Clock) -> Queues:
    schedules = Schedules(
        client("scheduler"), settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    )
    return Queues(client("sqs"), settings.queue_urls, schedules, clock)
