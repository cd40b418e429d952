"""Where runs of campaigns are: dispatch asks for it, and has no use for what else there is to say of them."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run is.

    waiting: for the run before it. planning: the file is cut into shards. checking: every row is read and judged, and
    nothing is sent. awaiting_approval: it is larger than may start by itself. sending: shard by shard. paused: by a
    person or the stop rule. checked, finished, cancelled, failed, skipped: it is over.
    """

    WAITING = "waiting"
    PLANNING = "planning"
    CHECKING = "checking"
    AWAITING_APPROVAL = "awaiting_approval"
    SENDING = "sending"
    PAUSED = "paused"
    CHECKED = "checked"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SKIPPED = "skipped"
