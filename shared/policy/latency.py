"""How long messages take, counted so that counts add up: by buckets whose bounds grow by a fixed factor. Pure.

A percentile is then known to within a tenth, whatever it is and however many counts were added up; kept are as many
numbers as there are buckets in use.
"""

from collections.abc import Mapping
from math import log2

from shared.model.events import Facts
from shared.model.words import Stage

STEPS = 4
"""Buckets for each doubling: each is 19 % wider than the one before."""
LONGEST_MS = 30 * 86_400_000
_MARK = "@"


def latency_of(event: Facts, accepted_at: int) -> int | None:
    """How long a message took to come to a stage, in milliseconds, where that is worth counting: from its acceptance to
    the provider, and from there to the recipient."""
    if event.stage == Stage.SENT:
        return max(0, event.at - accepted_at)
    return event.took_ms if event.stage == Stage.DELIVERED else None


def latency_name(stage: str, ms: int) -> str:
    """The name by which it counts that a message came to a stage within so many milliseconds."""
    return f"{stage}{_MARK}{_bucket(ms)}"


def percentile(counts: Mapping[str, int], stage: str, share: float) -> int | None:
    """Within how many milliseconds a share of the messages came to a stage; None if none did.

    counts: by name, of which others than those of `latency_name` do not matter.
    """
    start = f"{stage}{_MARK}"
    found = sorted((int(name.removeprefix(start)), n) for name, n in counts.items() if name.startswith(start))
    left = share * sum(n for _, n in found)
    for bucket, n in found:
        left -= n
        if left <= 0:
            return _middle(bucket)
    return None


def counted(counts: Mapping[str, int], stage: str) -> int:
    """Of how many messages it is known how long they took to a stage."""
    return sum(n for name, n in counts.items() if name.startswith(f"{stage}{_MARK}"))


def _bucket(ms: int) -> int:
    return round(STEPS * log2(min(max(ms, 1), LONGEST_MS)))


def _middle(bucket: int) -> int:
    return round(2 ** (bucket / STEPS))
