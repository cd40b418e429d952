"""What an erasure cannot take out, and by when that is gone. Pure."""

from collections.abc import Iterator

from shared.model.erasures import Erasure

DAY_MS = 86_400_000
DAYS = {
    "records of the event stream": 7,
    "messages that wait on queues and dead-letter queues; none of them is sent": 14,
    "names of requests (Idempotency-Key), if they hold the address": 1,
    "backups of the catalog and the counters (point-in-time recovery)": 35,
    "attachments of messages": 60,
    "hashes of 64 bits by which runs compared addresses": 60,
}
"""What it is -> the days for which it is kept at most (docs/security.md has where from)."""
SUPPRESSED = "the entry of the suppression list, without the address"


def remains(erasure: Erasure) -> Iterator[tuple[str, int | None]]:
    """(what, until when in milliseconds since the epoch; None for what stays)."""
    for what, days in DAYS.items():
        yield what, erasure.at + days * DAY_MS
    if erasure.keep_suppression:
        yield SUPPRESSED, None
