"""The functions of erasures: what searches for a person everywhere, and the API."""

from shared.base.rights import CONSUME, LIST_SCHEDULES, LIST_VERSIONS, MAKE_SCHEDULES, READ, SEND, allow, table
from shared.base.settings import (
    AttachmentSettings,
    CatalogSettings,
    ErasureSettings,
    GuardSettings,
    ScheduleSettings,
    TraceSettings,
)
from shared.function import ADDRESS_PACKAGES, CORE_PACKAGES, ApiTrigger, FunctionSpec, QueueTrigger

CONCURRENCY = 2
"""Each search reads all tables: people are forgotten one after the other rather than at the expense of messages."""
TIMEOUT_S = 900

_REWRITE = ("PutItem", "UpdateItem", "BatchWriteItem")


class SearchSettings(
    CatalogSettings, GuardSettings, TraceSettings, AttachmentSettings, ScheduleSettings, ErasureSettings
):
    """The environment of what searches."""


class ErasuresApiSettings(CatalogSettings, GuardSettings, ErasureSettings):
    """The environment of the API."""


FUNCTIONS = (
    FunctionSpec(
        "erasures",
        "functions.erasures.handler.lambda_handler",
        "Takes people who are to be forgotten out of all that is kept",
        SearchSettings,
        timeout_s=TIMEOUT_S,
        packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES),
        rights=(
            # No index names a recipient, so that everything has to be looked at.
            allow(("dynamodb:Scan",), "table.catalog", "table.guard", "table.timeline", "table.counters"),
            table("catalog", *READ),
            table("catalog", "PutItem", keys=("erasures#*", "suppressed#*", "letter#*", "tenant#*")),
            # Of the audit log a person is taken out of records; no record is taken out.
            table("catalog", "UpdateItem", keys=("audit#*", "suppressing#*")),
            table("catalog", "DeleteItem", keys=("suppressed#*", "suppressing#*")),
            table("guard", "GetItem", "Query", *_REWRITE),
            table("timeline", "Query", "PutItem", "BatchWriteItem"),
            table("counters", "BatchWriteItem", keys=("unkept#*",)),
            allow(
                (
                    "s3:GetObjectVersion",
                    "s3:GetObjectVersionTagging",
                    "s3:PutObject",
                    "s3:PutObjectTagging",
                    "s3:DeleteObjectVersion",
                    "s3:AbortMultipartUpload",
                ),
                "bucket.audiences",
                "bucket.runs",
            ),
            LIST_VERSIONS,
            LIST_SCHEDULES,
            allow(("scheduler:GetSchedule", "scheduler:UpdateSchedule"), "schedules.messages"),
            MAKE_SCHEDULES,
            allow((*CONSUME, *SEND), "erasures.queue"),
        ),
        triggers=(QueueTrigger("erasures.queue", 1, CONCURRENCY),),
        recursive=True,  # a search that is not over, and the next one, are tasks of its own queue
    ),
    FunctionSpec(
        "erasures_api",
        "functions.erasures.api.lambda_handler",
        "Has people forgotten, and says how far that is",
        ErasuresApiSettings,
        packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES),
        rights=(
            table("catalog", "GetItem", "Query"),
            table("catalog", "PutItem", keys=("erasures#*", "audit#*", "tenant#*", "tenants")),
            table("guard", "UpdateItem", keys=("erased#*",)),
            allow(SEND, "erasures.queue"),
        ),
        triggers=(ApiTrigger(),),
    ),
)
