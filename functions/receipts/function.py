"""The function that takes receipts."""

from shared.base.rights import CONSUME, PUBLISH, SEND, allow, table
from shared.base.settings import (
    CatalogSettings,
    GuardSettings,
    QueueSettings,
    ReceiptSettings,
    StreamSettings,
    TraceSettings,
)
from shared.function import ADDRESS_PACKAGES, CORE_PACKAGES, FunctionSpec, QueueTrigger

BATCH_SIZE = 100
WINDOW_S = 1
"""How long receipts gather: the fewer batches, the fewer requests for each receipt."""
CONCURRENCY = 5


class ReceiptsSettings(CatalogSettings, GuardSettings, QueueSettings, ReceiptSettings, StreamSettings, TraceSettings):
    """The environment of the function."""


FUNCTIONS = (
    FunctionSpec(
        "receipts",
        "functions.receipts.handler.lambda_handler",
        "Says what became of messages after providers took them",
        ReceiptsSettings,
        timeout_s=60,
        receipts=True,
        packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES),
        rights=(
            table("timeline", "BatchGetItem", "Query"),
            table("catalog", "GetItem", "BatchGetItem"),
            table("catalog", "PutItem", "UpdateItem", keys=("suppressed#*", "suppressing#*")),
            # Sent messages that may still fall back, and those by which they do, at once.
            table("guard", "GetItem", "UpdateItem", keys=("awaiting#*",)),
            allow(SEND, "queue.*"),
            allow((*CONSUME, *SEND), "receipts.queue"),
            PUBLISH,
        ),
        triggers=(QueueTrigger("receipts.queue", BATCH_SIZE, CONCURRENCY, WINDOW_S),),
        # What waits for its message goes back to the queue.
        recursive=True,
    ),
)
