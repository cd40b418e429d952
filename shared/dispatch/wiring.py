"""Wires a dispatch function; the three differ by channel alone."""

from concurrent.futures import ThreadPoolExecutor

from shared.aws.clients import client
from shared.aws.queue import DeadLetters, Queues
from shared.aws.schedules import Schedules
from shared.aws.secrets import SecretStore
from shared.aws.stream import EventStream
from shared.dispatch.accounts import Accounts
from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.sending import Sender
from shared.dispatch.waves import Waves
from shared.model.clock import SystemClock
from shared.model.words import Channel
from shared.settings import (
    CatalogSettings,
    DeadLetterSettings,
    GuardSettings,
    LoopbackSettings,
    QueueSettings,
    SecretSettings,
    StreamSettings,
)
from shared.store.catalog import Catalog
from shared.store.ledger import Ledger
from shared.store.suppressions import Suppressions
from shared.store.tokens import DynamoTokenCache

ENVELOPE_THREADS = 10
"""As many as a batch has envelopes, so that no code waits for another's provider."""
CALL_THREADS = 32


class DispatchSettings(
    CatalogSettings,
    GuardSettings,
    StreamSettings,
    QueueSettings,
    DeadLetterSettings,
    SecretSettings,
    LoopbackSettings,
):
    """The environment of a dispatch function."""


def build_dispatcher(channel: Channel) -> Dispatcher:
    """A dispatcher from the environment; makes no connection."""
    settings, clock = DispatchSettings.load(), SystemClock()
    dynamodb, sqs = client("dynamodb"), client("sqs")
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    secrets = SecretStore(client("secretsmanager"), settings.secret_prefix)
    accounts = Accounts(catalog, secrets, DynamoTokenCache(dynamodb, settings.guard_table, clock), clock)
    schedules = Schedules(
        client("scheduler"), settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    )
    suppressions = Suppressions(dynamodb, settings.catalog_table, clock)
    sender = Sender(catalog, accounts, suppressions, clock, ThreadPoolExecutor(CALL_THREADS, "call"))
    return Dispatcher(
        channel,
        Waves(sender, Ledger(dynamodb, settings.guard_table, clock), clock),
        Queues(sqs, settings.queue_urls, schedules, clock),
        DeadLetters(sqs, settings.dlq_urls),
        EventStream(client("kinesis"), settings.stream_name),
        ThreadPoolExecutor(ENVELOPE_THREADS, "envelope"),
    )
