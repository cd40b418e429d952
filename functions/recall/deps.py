"""Wires the function that recalls messages."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.recall.api import Recalling
from functions.recall.function import RecallSettings
from functions.recall.stopping import Stopper
from functions.recall.withdrawing import Withdrawer
from shared.api.kit import Api
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.secrets import SecretStore
from shared.aws.stream import EventStream
from shared.dispatch.accounts import Accounts
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.ledger import Ledger
from shared.store.timeline import Timeline
from shared.store.tokens import DynamoTokenCache

THREADS = 16


@cache
def deps() -> Api:
    """The API, built on first use."""
    settings, dynamodb = RecallSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    secrets = SecretStore(client("secretsmanager"), settings.secret_prefix)
    tokens = DynamoTokenCache(dynamodb, settings.guard_table, clock)
    accounts = Accounts(catalog, secrets, tokens, clock, settings.network)
    # One pool for all: no task of it waits for another.
    pool = ThreadPoolExecutor(THREADS, "recall")
    timeline = Timeline(dynamodb, settings.timeline_table, pool)
    stopper = Stopper(timeline, Ledger(dynamodb, settings.guard_table, clock), clock, pool)
    stream = EventStream(client("kinesis"), settings.stream_name)
    campaigns = Campaigns(dynamodb, settings.catalog_table, clock)
    withdrawer = Withdrawer(accounts, clock, pool)
    return Api(Recalling(timeline, stopper, withdrawer, stream, clock, campaigns, catalog).operations())
