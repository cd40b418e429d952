"""The function that puts events into the archive."""

from shared.base.rights import LOOK, SEND, allow
from shared.base.settings import ArchiveSettings
from shared.function import Alarm, FunctionSpec, StreamTrigger

STREAM_BATCH = 2_000
"""Of small records. Of large ones, an invocation's six megabytes are the limit."""
WINDOW_S = 300
"""The longest that Lambda gathers (Lambda API reference, CreateEventSourceMapping): nobody waits for the archive, and
Firehose is paid for by 5 KB of each record, so that few events in a record cost as much as many."""
RECORD_AGE_S = 6 * 24 * 3600
"""A day less than the stream keeps records: what is given up can still be read again."""

FUNCTIONS = (
    FunctionSpec(
        "archive",
        "functions.archive.handler.lambda_handler",
        "Puts events into the archive",
        ArchiveSettings,
        memory_mb=512,
        timeout_s=120,
        rights=(
            allow(("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", *LOOK), "stream"),
            allow(("firehose:PutRecordBatch",), "archive"),
            allow(SEND, "archive.dead"),
        ),
        # Without a bound of tries: nothing waits behind the archive, and what it leaves out is missing for years.
        triggers=(StreamTrigger(STREAM_BATCH, -1, RECORD_AGE_S, dead="archive.dead", window_s=WINDOW_S),),
        alarms=(
            Alarm(
                "archive-lag",
                "Events have waited for the archive for more than an hour; after six days they are left out.",
                "IteratorAge",
                runbook="behind",
                of="lambda",
                statistic="Maximum",
                above=3600_000,
                periods=3,
            ),
        ),
        archive=True,
    ),
)
