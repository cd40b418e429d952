"""The functions of dead letters: the consumer of their queues, and the API."""

from shared.base.channels import queue_names
from shared.base.rights import (
    CONSUME,
    LETTER_WRITE,
    LETTERS,
    PUBLISH,
    READ,
    SEND,
    SENDING,
    SETTLE,
    allow,
    table,
)
from shared.base.settings import CatalogSettings, GuardSettings, QueueSettings, ReceiptSettings, StreamSettings
from shared.function import CORE_PACKAGES, ZONE_PACKAGES, ApiTrigger, FunctionSpec, QueueTrigger

BATCH_SIZE = 10
CONCURRENCY = 5
"""Per queue: a campaign that failed as a whole must not take the functions' concurrency from those that send."""


class KeeperSettings(CatalogSettings, GuardSettings, StreamSettings, QueueSettings, ReceiptSettings):
    """The environment of the consumer."""


class DecidingSettings(CatalogSettings, StreamSettings, QueueSettings):
    """The environment of the API function."""


FUNCTIONS = (
    FunctionSpec(
        "dead_letters",
        "functions.dead_letters.handler.lambda_handler",
        "Keeps what the dead-letter queues hold",
        KeeperSettings,
        memory_mb=512,
        timeout_s=30,
        packages=(*CORE_PACKAGES, *ZONE_PACKAGES),
        rights=(
            table("catalog", "PutItem", keys=LETTERS),
            table("catalog", "GetItem"),
            table("guard", *SETTLE),
            *SENDING,
            allow(SEND, "receipts.queue"),
            allow(CONSUME, "dead.*"),
        ),
        triggers=tuple(
            QueueTrigger(f"dead.{name}", BATCH_SIZE, CONCURRENCY, label=name.title().replace(".", ""))
            for name in queue_names()
        ),
    ),
    FunctionSpec(
        "dead_letters_api",
        "functions.dead_letters.api.lambda_handler",
        "Lists, redrives and discards dead letters",
        DecidingSettings,
        rights=(
            table("catalog", *READ),
            LETTER_WRITE,
            table("catalog", "PutItem", keys=("audit#*",)),
            # A redrive is due at once: it needs no schedule.
            allow(SEND, "queue.*"),
            PUBLISH,
        ),
        triggers=(ApiTrigger(),),
    ),
)
