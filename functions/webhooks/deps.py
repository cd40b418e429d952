"""Wires the functions of webhooks."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.webhooks.feeding import Feed
from functions.webhooks.function import BATCH_SIZE, FeedSettings, SendSettings, WebhooksApiSettings
from functions.webhooks.operations import Webhooks
from functions.webhooks.posting import Poster
from functions.webhooks.sending import Posting, Sender
from shared.api.audit import Auditor
from shared.api.kit import Api
from shared.net.network import Network
from shared.wiring.parts import Parts

FEED_THREADS = 8


@dataclass(frozen=True, slots=True)
class SendDeps:
    """What delivers, its metrics, and the name of the deployment that they carry."""

    sender: Sender
    metrics: EphemeralMetrics
    deployment: str


@cache
def feed_deps() -> Feed:
    """What reads the stream, built on first use."""
    return feed_of(Parts(FeedSettings.load()), ThreadPoolExecutor(FEED_THREADS, "feed"))


@cache
def send_deps() -> SendDeps:
    """What delivers, built on first use."""
    settings = SendSettings.load()
    network = Network(settings.allow_loopback_endpoints)
    sender = sender_of(Parts(settings), Poster(network), ThreadPoolExecutor(BATCH_SIZE, "post"))
    return SendDeps(sender, EphemeralMetrics(), settings.secret_prefix)


@cache
def api_deps() -> Api:
    """The API, built on first use."""
    settings = WebhooksApiSettings.load()
    return Api(webhooks_of(Parts(settings), Network(settings.allow_loopback_endpoints)).operations())


def feed_of(parts: Parts, pool: Executor) -> Feed:
    """What makes deliveries of the stream's events."""
    queue, veils = parts.delivery_queue, parts.veils
    return Feed(parts.webhooks, parts.deliveries, parts.timeline, queue, parts.clock, pool, veils)


def sender_of(parts: Parts, poster: Posting, pool: Executor) -> Sender:
    """What delivers."""
    return Sender(
        parts.webhooks,
        parts.deliveries,
        parts.delivery_queue,
        parts.webhook_secrets,
        poster,
        parts.event_bus,
        parts.clock,
        pool,
        veils=parts.veils,
    )


def webhooks_of(parts: Parts, network: Network) -> Webhooks:
    """What callers can do with webhooks."""
    return Webhooks(
        parts.webhooks,
        parts.deliveries,
        parts.delivery_queue,
        parts.webhook_secrets,
        Auditor(parts.keys, parts.clock),
        parts.clock,
        network,
    )
