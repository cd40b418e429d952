"""Waiting for a place that is taken already: the row of who waits, and whether an envelope came in time for it."""

from shared.aws.queue import MAX_DELAY_S
from shared.dispatch.plan import Plan
from shared.lifecycle.lineage import place_key
from shared.lifecycle.verdict import put_off
from shared.model.envelope import EnvelopeRecipient
from shared.model.reasons import Reason
from shared.model.words import Stage

PATIENCE_MS = 2_000
"""How long a function waits for places that it has just taken."""
EARLY_MS = 5_000
"""How long it waits for those with which an envelope came."""
HEAD_START_MS = 2_500
"""How long before its place an envelope is due: SQS delays by whole seconds, and a mapping gathers for another one."""
SCHEDULE_MS = 180_000
"""The same where a schedule brings it, which may be more than a minute late. It then waits once more, for the rest."""
LATE_MS = 1_000
"""How much later than its place an envelope may come; twice as much with each wait, so that where all come late each
gets through in the end."""


def place_of(plan: Plan, reason: Reason, account: str, now: int) -> int | None:
    """The place with which an envelope came, in milliseconds since the epoch; None if it has none or is too late."""
    envelope = plan.envelope
    place = envelope.places.get(place_key(reason, account))
    late = LATE_MS << min(envelope.times_put_off, 10)
    return None if place is None or now > place + late else place


def wait(
    plan: Plan, recipient: EnvelopeRecipient, reason: Reason, account: str, place: int, start: int, now: int
) -> None:
    """Let a recipient wait for a place. start: when its message would go, which may be after its time to live."""
    row = put_off(plan.envelope, recipient, reason, start, now, account)
    if row.stage == Stage.DEFERRED:
        row.place_at, row.due_at = place, due_at(place, now)
    if recipient.index in plan.over:
        row.passed_over = plan.over[recipient.index]
    plan.rows.append(row)


def due_at(place: int, now: int) -> int:
    """When an envelope must be due to come just before its place."""
    if place - HEAD_START_MS > now + MAX_DELAY_S * 1000:
        return place - SCHEDULE_MS
    return max(place - HEAD_START_MS, now)
