"""Wires a dispatch function; the three differ by channel alone."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from shared.aws.attachments import AttachmentStore
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import DeadLetters, Queues
from shared.aws.schedules import Schedules
from shared.aws.secrets import SecretStore
from shared.aws.stream import EventStream
from shared.dispatch.accounts import Accounts
from shared.dispatch.attachments import Files
from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.frequency import Frequency
from shared.dispatch.function import DispatchSettings
from shared.dispatch.outlet import Outlet
from shared.dispatch.planning import Planner
from shared.dispatch.rates import Rates
from shared.dispatch.routing import Routing
from shared.dispatch.runs import Runs
from shared.dispatch.sending import Sender
from shared.dispatch.waves import Waves
from shared.lifecycle.held import Releases
from shared.model.words import Channel
from shared.providers.base import MAX_CALLS
from shared.store.campaigns import Campaigns
from shared.store.caps import Caps
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.duplicates import Duplicates
from shared.store.health import HealthStore
from shared.store.ledger import Ledger
from shared.store.parking import Parking
from shared.store.rates import Rates as RateStore
from shared.store.suppressions import Suppressions
from shared.store.tokens import DynamoTokenCache

ENVELOPE_THREADS = 10
"""As many as a batch has envelopes, so that no code waits for another's provider."""


def build_dispatcher(channel: Channel) -> Dispatcher:
    """A dispatcher from the environment; makes no connection."""
    settings = DispatchSettings.load()
    clock = service_clock(settings.catalog_table)
    dynamodb, sqs = client("dynamodb"), client("sqs")
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    secrets = SecretStore(client("secretsmanager"), settings.secret_prefix)
    tokens = DynamoTokenCache(dynamodb, settings.guard_table, clock)
    accounts = Accounts(catalog, secrets, tokens, clock, settings.network)
    schedules = Schedules(
        client("scheduler"), settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    )
    suppressions = Suppressions(dynamodb, settings.catalog_table, clock)
    health = HealthStore(dynamodb, settings.catalog_table, Counters(dynamodb, settings.counters_table))
    routing = Routing(accounts, health, clock)
    guard = dynamodb, settings.guard_table, clock
    duplicates, caps, ledger = Duplicates(*guard), Caps(*guard), Ledger(*guard)
    frequency = Frequency(catalog, duplicates, caps, clock)
    queues = Queues(sqs, settings.queue_urls, schedules, clock)
    files = _files(channel, settings.assets_bucket)
    runs = Runs(Campaigns(dynamodb, settings.catalog_table, clock), Parking(*guard), clock)
    planner = Planner(catalog, runs, accounts, suppressions, frequency, routing, clock, files)
    sender = Sender(clock, ThreadPoolExecutor(MAX_CALLS, "call"))
    return Dispatcher(
        channel,
        Waves(planner, Rates(RateStore(*guard), clock), sender, ledger, clock),
        runs,
        Outlet(queues, ledger, Releases(catalog, duplicates, caps), clock),
        DeadLetters(sqs, settings.dlq_urls),
        EventStream(client("kinesis"), settings.stream_name),
        ThreadPoolExecutor(ENVELOPE_THREADS, "envelope"),
    )


def _files(channel: Channel, bucket: str) -> Files | None:
    """The files that emails carry; the client is made for the first of them."""
    return Files(AttachmentStore(bucket, partial(client, "s3")).read) if channel is Channel.EMAIL else None
