"""The functions that look after what got stuck: the sweep, and the API."""

from shared.base.rights import LETTER_WRITE, LIST_SCHEDULES, LOOK, PUBLISH, READ, SEND, allow, table
from shared.base.settings import (
    AfterwardsSettings,
    CatalogSettings,
    DeadLetterSettings,
    GuardSettings,
    QueueSettings,
    StreamSettings,
    TaskSettings,
    TraceSettings,
    WatchSettings,
)
from shared.function import Alarm, ApiTrigger, Every, FunctionSpec

SWEEP_MINUTES = 5


class SweepSettings(
    CatalogSettings, GuardSettings, TraceSettings, StreamSettings, QueueSettings, WatchSettings, TaskSettings
):
    """The environment of the sweep."""


class HealthSettings(
    CatalogSettings,
    GuardSettings,
    TraceSettings,
    StreamSettings,
    QueueSettings,
    DeadLetterSettings,
    WatchSettings,
    AfterwardsSettings,
):
    """The environment of the API function."""


FUNCTIONS = (
    FunctionSpec(
        "watch",
        "functions.watch.handler.lambda_handler",
        "Finds what got stuck, and mends it",
        SweepSettings,
        timeout_s=240,  # less than the time between two sweeps
        rights=(
            table("catalog", *READ),
            table("timeline", "BatchGetItem", "Query"),
            table("counters", "GetItem", "Query"),
            LETTER_WRITE,
            table("guard", "BatchGetItem", "UpdateItem"),
            # Its marks, and no counts.
            table("counters", "PutItem", "DeleteItem", keys=("watch#*",)),
            allow(SEND, "queue.*"),
            allow(SEND, "campaigns.queue"),
            allow(("sqs:ReceiveMessage", "sqs:DeleteMessage"), "schedules.dead", "trace.dead"),
            allow((*PUBLISH.actions, *LOOK), "stream"),
            allow(("scheduler:GetSchedule", "scheduler:DeleteSchedule"), "schedules.messages"),
            LIST_SCHEDULES,
        ),
        triggers=(Every(SWEEP_MINUTES),),
        alarms=(
            Alarm(
                "in-flight-too-long",
                "Messages have been in flight for too long: run `mepush doctor`.",
                "InFlightTooLong",
                runbook="messages-stuck",
                statistic="Maximum",
                minutes=SWEEP_MINUTES,
                periods=3,
            ),
            Alarm(
                "no-sweep",
                "Nothing has looked for stuck messages for half an hour: read the log of watch.",
                "Sweeps",
                runbook="no-sweep",
                minutes=30,
                below=1,
            ),
        ),
    ),
    FunctionSpec(
        "watch_api",
        "functions.watch.api.lambda_handler",
        "Answers how the platform is",
        HealthSettings,
        rights=(
            table("catalog", *READ),
            table("counters", "GetItem", "Query"),
            # How endpoints of webhooks are.
            table("guard", "GetItem", keys=("webhook#*",)),
            allow(
                ("sqs:GetQueueAttributes",),
                "queue.*",
                "dead.*",
                "schedules.dead",
                "trace.dead",
                "receipts.dead",
                "webhooks.dead",
            ),
            allow(LOOK, "stream"),
            allow(("scheduler:GetSchedule",), "schedules.messages"),
            LIST_SCHEDULES,
        ),
        triggers=(ApiTrigger(),),
    ),
)
