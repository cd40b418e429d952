"""The functions that accept messages: for the API, and from the bus."""

from shared.base.rights import FIND, LIST_FILES, SEND, SENDING, Right, allow, table
from shared.base.settings import (
    AttachmentSettings,
    BusSettings,
    CatalogSettings,
    GuardSettings,
    QueueSettings,
    StreamSettings,
    UploadSettings,
)
from shared.function import (
    ADDRESS_PACKAGES,
    CORE_PACKAGES,
    SEALING_PACKAGES,
    ZONE_PACKAGES,
    Alarm,
    ApiTrigger,
    BusTrigger,
    FunctionSpec,
)


class AcceptSettings(CatalogSettings, GuardSettings, StreamSettings, QueueSettings, AttachmentSettings):
    """What accepting a request takes, wherever it comes from."""


class IngestSettings(AcceptSettings, UploadSettings):
    """The environment of the API function."""


class EventSettings(AcceptSettings, BusSettings):
    """The environment of the function that takes events."""


def _limits(function: str) -> tuple[Alarm, ...]:
    """Alarms for when a key has had all its texts of the day, or nearly."""
    label = function.replace("_", "-")
    return tuple(
        Alarm(
            f"key-limit-{name}-{label}",
            f"An API key {words}: the log of {function} names it. See whether the texts were wanted.",
            metric,
            runbook="key-limit",
        )
        for name, metric, words in (
            ("near", "KeyLimitNear", "has sent four fifths of its texts of the day"),
            ("reached", "KeyLimitReached", "has sent all its texts of the day, and more are refused"),
        )
    )


_HELD = Alarm(
    "prefixes-held-ingest",
    "Codes by SMS to some telephone numbers are held, since few are entered: see `mepush verify guard`. If they are "
    "wanted, release the prefix.",
    "PrefixesHeld",
    runbook="numbers-held",
)
_PACKAGES = (*CORE_PACKAGES, *ADDRESS_PACKAGES, *SEALING_PACKAGES, *ZONE_PACKAGES)
_TABLES: tuple[Right, ...] = (table("catalog", "GetItem"), table("guard", "GetItem", "PutItem", "UpdateItem"))

FUNCTIONS = (
    FunctionSpec(
        "ingest",
        "functions.ingest.handler.lambda_handler",
        "Accepts messages",
        IngestSettings,
        packages=_PACKAGES,
        rights=(
            *_TABLES,
            # What the guard against SMS pumping counts; every hold is recorded.
            table("guard", "Query", "BatchGetItem", "BatchWriteItem", keys=("pumping#*",)),
            table("catalog", "PutItem", keys=("audit#*",)),
            allow(("s3:GetObject", "s3:PutObject"), "bucket.attachments"),
            LIST_FILES,
            *SENDING,
        ),
        triggers=(ApiTrigger(),),
        alarms=(*_limits("ingest"), _HELD),
        snapshot=True,
    ),
    FunctionSpec(
        "ingest_events",
        "functions.ingest.events.lambda_handler",
        "Accepts messages that events ask for",
        EventSettings,
        packages=_PACKAGES,
        rights=(*_TABLES, allow(FIND, "bucket.attachments"), LIST_FILES, allow(SEND, "events.dead"), *SENDING),
        triggers=(BusTrigger(),),
        alarms=_limits("ingest_events"),
    ),
)
