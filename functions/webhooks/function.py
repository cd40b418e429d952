"""The functions of webhooks: what makes events of the stream, what delivers them, and the API."""

from shared.base.rights import CONSUME, LOOK, SEND, allow, table
from shared.base.settings import (
    BusNameSettings,
    CatalogSettings,
    GuardSettings,
    LoopbackSettings,
    SecretSettings,
    TraceSettings,
    WebhookSettings,
)
from shared.function import (
    CORE_PACKAGES,
    Alarm,
    ApiTrigger,
    FunctionSpec,
    QueueTrigger,
    StreamTrigger,
)

STREAM_BATCH = 100
RETRIES = 50
RECORD_AGE_S = 24 * 3600
"""As the trace: without a bound, one poisonous record would hold up its shard until the stream forgets it."""
BATCH_SIZE = 10
CONCURRENCY = 20
"""Each of so many functions makes `BATCH_SIZE` posts at a time."""
SECRET_LABEL = "webhook"  # noqa: S105 - the label of one
"""By it the secrets of endpoints are told from those of accounts."""

ENDPOINTS = ("webhooks#*",)
"""The partitions of the catalog that hold endpoints: nothing else that people configure."""
ERASED = ("erased#*",)
"""The partitions of the guard that say of whom nothing is told any more."""
KEPT = ("hooked#*", "deliveries#*")


class FeedSettings(CatalogSettings, GuardSettings, WebhookSettings, TraceSettings):
    """The environment of what reads the stream."""


class SendSettings(CatalogSettings, GuardSettings, WebhookSettings, SecretSettings, BusNameSettings, LoopbackSettings):
    """The environment of what delivers."""


class WebhooksApiSettings(CatalogSettings, GuardSettings, WebhookSettings, SecretSettings, LoopbackSettings):
    """The environment of the API."""


FUNCTIONS = (
    FunctionSpec(
        "webhooks_feed",
        "functions.webhooks.feed.lambda_handler",
        "Makes webhooks' deliveries of events",
        FeedSettings,
        timeout_s=120,
        rights=(
            table("catalog", "GetItem", keys=("tenant#time",)),
            table("catalog", "Query", keys=ENDPOINTS),
            table("guard", "BatchGetItem", "BatchWriteItem", keys=KEPT),
            table("guard", "Query", keys=ERASED),
            # Whom a receipt is about.
            table("timeline", "BatchGetItem"),
            allow(("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", *LOOK), "stream"),
            allow(SEND, "webhooks.queue", "webhooks.dead"),
        ),
        triggers=(StreamTrigger(STREAM_BATCH, RETRIES, RECORD_AGE_S, dead="webhooks.dead"),),
        alarms=(
            Alarm(
                "webhooks-lag",
                "Events for webhooks are more than five minutes behind.",
                "IteratorAge",
                runbook="behind",
                of="lambda",
                statistic="Maximum",
                above=5 * 60_000,
                periods=3,
            ),
        ),
    ),
    FunctionSpec(
        "webhooks_send",
        "functions.webhooks.send.lambda_handler",
        "Delivers events to tenants' endpoints",
        SendSettings,
        timeout_s=60,
        packages=(*CORE_PACKAGES, "httpx"),
        outward=True,
        rights=(
            table("catalog", "GetItem", keys=("tenant#time", *ENDPOINTS)),
            table("catalog", "Query", keys=ENDPOINTS),
            # An endpoint that fails for days, or is gone, is stopped; the audit log has that too.
            table("catalog", "PutItem", keys=(*ENDPOINTS, "audit#*")),
            table("guard", "BatchWriteItem", keys=("deliveries#*",)),
            table("guard", "UpdateItem", keys=("webhook#*",)),
            table("guard", "Query", keys=ERASED),
            allow((*CONSUME, *SEND), "webhooks.queue"),
            allow(("events:PutEvents",), "bus"),
            allow(("secretsmanager:GetSecretValue",), "secrets.webhooks"),
        ),
        triggers=(QueueTrigger("webhooks.queue", BATCH_SIZE, CONCURRENCY),),
        alarms=(
            Alarm(
                "webhooks-paused",
                "A tenant's endpoint failed for days or is gone, and gets no more events: tell its owner, "
                "who resumes it and replays what was missed.",
                "WebhooksPaused",
                runbook="endpoint-paused",
            ),
        ),
        # What is tried again, or due later, goes back to the queue.
        recursive=True,
    ),
    FunctionSpec(
        "webhooks_api",
        "functions.webhooks.api.lambda_handler",
        "Manages webhooks, and shows and repeats their deliveries",
        WebhooksApiSettings,
        rights=(
            table("catalog", "GetItem"),
            table("catalog", "Query", keys=ENDPOINTS),
            table("catalog", "PutItem", keys=(*ENDPOINTS, "audit#*")),
            table("catalog", "DeleteItem", keys=ENDPOINTS),
            table("guard", "Query", keys=("deliveries#*",)),
            table("guard", "GetItem", "UpdateItem", keys=("webhook#*",)),
            allow(SEND, "webhooks.queue"),
            allow(
                (
                    "secretsmanager:CreateSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:DeleteSecret",
                    # A secret that waits for its deletion is taken back; a new one is labelled.
                    "secretsmanager:RestoreSecret",
                    "secretsmanager:TagResource",
                ),
                "secrets.webhooks",
            ),
        ),
        triggers=(ApiTrigger(),),
    ),
)
