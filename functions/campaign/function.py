"""The functions of campaigns: what cuts files and queues messages, and the API."""

from shared.base.rights import (
    CONSUME,
    FIND,
    LIST_VERSIONS,
    MAKE_SCHEDULES,
    PUBLISH,
    READ,
    SEND,
    SENDING,
    Right,
    allow,
    table,
)
from shared.base.settings import (
    AttachmentSettings,
    CampaignScheduleSettings,
    CatalogSettings,
    CountersSettings,
    GuardSettings,
    QueueSettings,
    StreamSettings,
    TaskSettings,
    TraceSettings,
    UploadSettings,
)
from shared.function import (
    ADDRESS_PACKAGES,
    CORE_PACKAGES,
    RENDERING_PACKAGES,
    SEALING_PACKAGES,
    ZONE_PACKAGES,
    ApiTrigger,
    FunctionSpec,
    QueueTrigger,
)

CONCURRENCY = 50
"""Three runs of sixteen chains each at full speed, and their drivers."""


class CampaignSettings(
    CatalogSettings,
    GuardSettings,
    StreamSettings,
    QueueSettings,
    TraceSettings,
    AttachmentSettings,
    TaskSettings,
):
    """The environment of the function."""


class CampaignApiSettings(
    CatalogSettings,
    GuardSettings,
    StreamSettings,
    QueueSettings,
    CountersSettings,
    UploadSettings,
    CampaignScheduleSettings,
):
    """The environment of the API function."""


_PACKAGES = (*CORE_PACKAGES, *ADDRESS_PACKAGES, *RENDERING_PACKAGES, *ZONE_PACKAGES)
_RUNS: tuple[Right, ...] = (
    table("catalog", "PutItem", keys=("tenant#*", "audit#*")),
    table("catalog", "DeleteItem", keys=("tenant#*",)),
    table("counters", "Query"),
    allow(("s3:GetObject", "s3:GetObjectVersion"), "bucket.audiences"),
    LIST_VERSIONS,
    allow(SEND, "campaigns.queue"),
)
"""To read files of recipients, change campaigns and runs, and see what became of their messages."""

FUNCTIONS = (
    FunctionSpec(
        "campaign",
        "functions.campaign.handler.lambda_handler",
        "Cuts audience files into shards, checks them, and queues their messages",
        CampaignSettings,
        # With so much a function has a whole processor (Lambda developer guide, "Configure memory").
        memory_mb=1769,
        timeout_s=900,  # the most that Lambda gives: a file of 5 GB is cut in one go
        packages=_PACKAGES,
        rights=(
            *_RUNS,
            table("catalog", *READ),
            table("timeline", "BatchGetItem", "Query"),
            table("guard", "GetItem", "PutItem", "UpdateItem", "BatchWriteItem", "Query"),
            allow(("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"), "bucket.runs"),
            *SENDING,
            allow(CONSUME, "campaigns.queue"),
        ),
        triggers=(QueueTrigger("campaigns.queue", 1, CONCURRENCY),),
        recursive=True,  # a driver puts its next look on its own queue, and a chain what it has not come to
    ),
    FunctionSpec(
        "campaign_api",
        "functions.campaign.api.lambda_handler",
        "Manages campaigns and their runs",
        CampaignApiSettings,
        packages=(*_PACKAGES, *SEALING_PACKAGES),
        rights=(
            *_RUNS,
            table("catalog", "GetItem", "Query"),
            table("guard", "Query"),
            # A form that tags what is uploaded, and a link, take the rights of who signed them.
            allow(("s3:PutObject", "s3:PutObjectTagging"), "bucket.audiences"),
            allow(FIND, "bucket.runs"),
            # Messages that try a campaign out are sent at once, by no schedule.
            allow(SEND, "queue.*"),
            PUBLISH,
            MAKE_SCHEDULES,
            allow(
                (
                    "scheduler:CreateSchedule",
                    "scheduler:DeleteSchedule",
                    "scheduler:GetSchedule",
                    "scheduler:UpdateSchedule",
                ),
                "schedules.campaigns",
            ),
        ),
        triggers=(ApiTrigger(),),
    ),
)
