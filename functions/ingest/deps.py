"""Wires the functions that accept messages: the API, and the one that takes events."""

from functools import cache, partial

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.ingest.attachments import Attachments
from functions.ingest.consumer import BadEvents, EventConsumer
from functions.ingest.function import AcceptSettings, EventSettings, IngestSettings
from functions.ingest.service import Ingest
from functions.ingest.texts import TextLimits
from shared.api.kit import Api
from shared.aws.attachments import AttachmentStore
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import Queues
from shared.aws.schedules import Schedules
from shared.aws.stream import EventStream
from shared.model.clock import Clock
from shared.store.catalog import Catalog
from shared.store.idempotency import Idempotency
from shared.store.texts import Texts


@cache
def deps() -> Api:
    """The function's API, built on first use."""
    settings = IngestSettings.load()
    clock = service_clock(settings.catalog_table)
    # A signature of the older kind names no region, and newer regions refuse it.
    signer = partial(client, "s3", endpoint_url=settings.upload_endpoint, signature_version="s3v4")
    attachments = Attachments(AttachmentStore(settings.assets_bucket, partial(client, "s3"), signer), clock)
    ingest = _ingest(settings, clock, attachments)
    return Api(
        {
            "send_messages": ingest.send_messages,
            "create_attachment": attachments.create,
            "get_attachment": attachments.get,
        }
    )


@cache
def events_deps() -> EventConsumer:
    """What takes events, built on first use."""
    settings = EventSettings.load()
    clock = service_clock(settings.catalog_table)
    attachments = Attachments(AttachmentStore(settings.assets_bucket, partial(client, "s3")), clock)
    return EventConsumer(
        _ingest(settings, clock, attachments), BadEvents(client("sqs"), settings.events_dlq_url, clock)
    )


def _ingest(settings: AcceptSettings, clock: Clock, attachments: Attachments) -> Ingest:
    dynamodb = client("dynamodb")
    schedules = Schedules(
        client("scheduler"), settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    )
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    texts = Texts(dynamodb, settings.guard_table, clock)
    return Ingest(
        catalog,
        Idempotency(dynamodb, settings.guard_table, clock),
        Queues(client("sqs"), settings.queue_urls, schedules, clock),
        EventStream(client("kinesis"), settings.stream_name),
        clock,
        attachments,
        TextLimits(catalog, texts, EphemeralMetrics(), clock, settings.schedule_group),
    )
