"""The functions of timelines and counters: the stream's consumer, and the API that reads what it wrote."""

from shared.base.rights import LOOK, SEND, allow, table
from shared.base.settings import CatalogSettings, GuardSettings, LiveMetricsSettings, TraceSettings
from shared.function import (
    ADDRESS_PACKAGES,
    CORE_PACKAGES,
    SEALING_PACKAGES,
    ZONE_PACKAGES,
    Alarm,
    ApiTrigger,
    FunctionSpec,
    StreamTrigger,
)

BATCH_SIZE = 100
RETRIES = 50
RECORD_AGE_S = 24 * 3600
"""Without a bound, one poisonous record would hold up its shard until the stream forgets it."""


class AggregatorSettings(CatalogSettings, GuardSettings, TraceSettings, LiveMetricsSettings):
    """The environment of the stream's consumer."""


class TraceApiSettings(CatalogSettings, TraceSettings):
    """The environment of the API function."""


FUNCTIONS = (
    FunctionSpec(
        "trace",
        "functions.trace.handler.lambda_handler",
        "Turns events into timelines and counters",
        AggregatorSettings,
        timeout_s=60,
        rights=(
            # Few events are put in one transaction with what they count.
            table("timeline", "BatchGetItem", "BatchWriteItem", "PutItem", "Query"),
            table("counters", "GetItem", "UpdateItem"),
            # Events which the timeline did not take are set aside.
            table("counters", "BatchWriteItem", "Query", keys=("unkept#*",)),
            # How long events are kept, and who is erased.
            table("catalog", "GetItem", keys=("tenant#*",)),
            table("guard", "Query", keys=("erased#*",)),
            allow(("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", *LOOK), "stream"),
            allow(SEND, "trace.dead"),
        ),
        triggers=(StreamTrigger(BATCH_SIZE, RETRIES, RECORD_AGE_S, dead="trace.dead"),),
        alarms=(
            Alarm(
                "trace-lag",
                "Timelines and counters are more than five minutes behind.",
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
        "trace_api",
        "functions.trace.api.lambda_handler",
        "Answers what happened to messages",
        TraceApiSettings,
        packages=(*CORE_PACKAGES, *ADDRESS_PACKAGES, *SEALING_PACKAGES, *ZONE_PACKAGES),
        rights=(
            table("catalog", "GetItem", "BatchGetItem", "Query"),
            # Who looks at whole addresses is recorded before they are shown.
            table("catalog", "PutItem", keys=("audit#*",)),
            allow(("dynamodb:Query",), "table.timeline", "table.counters"),
        ),
        triggers=(ApiTrigger(),),
    ),
)
