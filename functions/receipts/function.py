"""The function that takes receipts."""

from shared.base.rights import CONSUME, PUBLISH, SEND, allow, read_secrets, table
from shared.base.settings import (
    CatalogSettings,
    GuardSettings,
    NetworkSettings,
    QueueSettings,
    ReceiptSettings,
    SecretSettings,
    StreamSettings,
    TraceSettings,
)
from shared.function import ADDRESS_PACKAGES, CORE_PACKAGES, SEALING_PACKAGES, ZONE_PACKAGES, FunctionSpec, QueueTrigger
from shared.model.words import Channel
from shared.providers.table import providers_of

BATCH_SIZE = 100
WINDOW_S = 1
"""How long receipts gather: the fewer batches, the fewer requests for each receipt."""
CONCURRENCY = 5


class ReceiptsSettings(
    CatalogSettings,
    GuardSettings,
    NetworkSettings,
    QueueSettings,
    ReceiptSettings,
    SecretSettings,
    StreamSettings,
    TraceSettings,
):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "receipts",
        "functions.receipts.handler.lambda_handler",
        "Says what became of messages after providers took them",
        ReceiptsSettings,
        timeout_s=60,
        receipts=True,
        channels=(Channel.WECOM, Channel.SMS),
        packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES, *SEALING_PACKAGES, *ZONE_PACKAGES),
        rights=(
            table("timeline", "BatchGetItem", "Query"),
            table("catalog", "GetItem", "BatchGetItem"),
            table("catalog", "PutItem", "UpdateItem", keys=("suppressed#*", "suppressing#*")),
            # Sent messages that may still fall back, and those by which they do, at once; tokens to change cards by.
            table("guard", "GetItem", "UpdateItem", keys=("awaiting#*", "token#*")),
            allow(SEND, "queue.*"),
            read_secrets(Channel.WECOM),
            # Who sent a code is told that it was given back.
            read_secrets(Channel.SMS),
            *(right for provider in providers_of(Channel.SMS) for right in provider.reports),
            allow((*CONSUME, *SEND), "receipts.queue"),
            PUBLISH,
        ),
        triggers=(QueueTrigger("receipts.queue", BATCH_SIZE, CONCURRENCY, WINDOW_S),),
        # What waits for its message goes back to the queue.
        recursive=True,
    ),
)
