"""Wires the ingest function."""

from functools import cache

from functions.ingest.service import Ingest
from shared.api.kit import Api
from shared.aws.clients import client
from shared.aws.queue import Queues
from shared.aws.schedules import Schedules
from shared.aws.stream import EventStream
from shared.model.clock import SystemClock
from shared.settings import CatalogSettings, GuardSettings, QueueSettings, StreamSettings
from shared.store.catalog import Catalog
from shared.store.idempotency import Idempotency


class IngestSettings(CatalogSettings, GuardSettings, StreamSettings, QueueSettings):
    """The environment of the ingest function."""


@cache
def deps() -> Api:
    """The function's API, built on first use."""
    settings, clock = IngestSettings.load(), SystemClock()
    dynamodb = client("dynamodb")
    schedules = Schedules(
        client("scheduler"), settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    )
    ingest = Ingest(
        Catalog(dynamodb, settings.catalog_table, clock),
        Idempotency(dynamodb, settings.guard_table, clock),
        Queues(client("sqs"), settings.queue_urls, schedules, clock),
        EventStream(client("kinesis"), settings.stream_name),
        clock,
    )
    return Api({"send_messages": ingest.send_messages})
