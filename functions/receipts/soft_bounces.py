"""Finds addresses that have only sent messages back for a while: five transient bounces in a row, without a delivery.

Nothing is kept for it: the recipient's own timeline says it, and it is asked when a message comes back for now, which
is rare. Only emails: a telephone that is off says nothing of its number.
"""

from collections.abc import Iterable

from functions.receipts.matching import Matched
from shared.model.ids import tag_of
from shared.model.reasons import Blame, blame_of
from shared.model.words import Channel, Stage
from shared.store.kept_events import KeptEvent
from shared.store.timeline import Timeline

IN_A_ROW = 5
REACH_MS = 180 * 86_400_000
"""How far back bounces count; the timeline may reach less far."""
LOOKED_AT = 30
"""So many of a recipient's last messages are looked at: of some nothing was reported."""
_ARRIVED = frozenset({Stage.DELIVERED, Stage.OPENED, Stage.CLICKED, Stage.ACKNOWLEDGED, Stage.VERIFIED})


class SoftBounces:
    """Asks the timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def full(self, match: Matched, now: int) -> bool:
        """Whether a receipt tells of the last of so many bounces. Raises: what the table raises."""
        receipt = match.receipt
        if not (receipt.transient and receipt.stage is Stage.UNDELIVERED and match.event.channel == Channel.EMAIL):
            return False
        if blame_of(receipt.reason) is not Blame.RECIPIENT:
            return False
        tag = tag_of(match.message_id)
        last = self._timeline.newest(match.tenant, tag, now - REACH_MS, now + 1, LOOKED_AT)
        others = [events for message_id, events in last if message_id != match.message_id]
        return 1 + in_a_row(others) >= IN_A_ROW


def in_a_row(messages: Iterable[list[KeptEvent]]) -> int:
    """How many of a recipient's messages, the newest first, came back since the last one that arrived."""
    found = 0
    for events in messages:
        stages = {event.stage for event in events if not event.machine}
        if stages & _ARRIVED:
            break
        found += Stage.UNDELIVERED in stages
    return found
