"""Wires the functions that accept messages: the API, and the one that takes events."""

from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.ingest.attachments import Attachments
from functions.ingest.consumer import BadEvents, EventConsumer
from functions.ingest.function import EventSettings, IngestSettings
from functions.ingest.guard import PumpingGuard
from functions.ingest.guard_limits import GuardLimits
from functions.ingest.holds import Holds
from functions.ingest.service import Ingest
from functions.ingest.texts import TextLimits
from functions.ingest.verifications import Starting
from shared.acceptance.addresses import Seals
from shared.api.kit import Api
from shared.wiring.parts import Parts


@cache
def deps() -> Api:
    """The function's API, built on first use."""
    parts = Parts(IngestSettings.load())
    ingest = ingest_of(parts, EphemeralMetrics())
    return Api(
        {
            "send_messages": ingest.send_messages,
            "start_verification": starting_of(parts, ingest, EphemeralMetrics()).start_verification,
            "create_attachment": ingest.attachments.create,
            "get_attachment": ingest.attachments.get,
        }
    )


@cache
def events_deps() -> EventConsumer:
    """What takes events, built on first use."""
    parts = Parts(EventSettings.load())
    bad = BadEvents(parts.client("sqs"), parts.settings.events_dlq_url, parts.clock)
    return EventConsumer(ingest_of(parts, EphemeralMetrics()), bad)


def starting_of(parts: Parts, ingest: Ingest, metrics: EphemeralMetrics) -> Starting:
    """What starts verifications. metrics: where its guard counts."""
    return Starting(ingest, parts.catalog, parts.verifications, parts.clock, guard_of(parts, metrics))


def guard_of(parts: Parts, metrics: EphemeralMetrics) -> PumpingGuard:
    """What guards against SMS pumping."""
    deployment = parts.settings.schedule_group
    holds = Holds(parts.pumping, parts.pumping_hours, parts.clock, metrics, deployment)
    limits = GuardLimits(parts.pumping, parts.texts, parts.clock)
    return PumpingGuard(parts.catalog, holds, limits, parts.clock)


def ingest_of(parts: Parts, metrics: EphemeralMetrics) -> Ingest:
    """What accepts messages. metrics: where it counts texts of keys."""
    deployment = parts.settings.schedule_group
    texts = TextLimits(parts.catalog, parts.texts, metrics, parts.clock, deployment)
    return Ingest(
        parts.catalog,
        parts.idempotency,
        parts.acceptance,
        parts.clock,
        Attachments(parts.attachments, parts.clock),
        texts,
        Seals(parts.catalog),
    )
