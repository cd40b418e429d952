"""Whether a sent message that must come to more falls back: by what is said of it, and for which reason. Pure."""

from shared.model.reasons import Reason
from shared.model.receipts import Receipt
from shared.model.suppression import SuppressionReason
from shared.model.words import MessageClass, Stage, Until
from shared.policy.fallback import falls_back

_TOLD = frozenset({Stage.COMPLAINED, Stage.UNSUBSCRIBED})
"""What only who has got a message says; they do not want another one."""
_ARRIVED = frozenset({Stage.DELIVERED, Stage.OPENED, Stage.CLICKED, Stage.ACKNOWLEDGED})
_ENOUGH = {Until.DELIVERED: _ARRIVED | _TOLD, Until.ACKNOWLEDGED: _TOLD | {Stage.ACKNOWLEDGED}}
_TOO_LATE = {Until.DELIVERED: Reason.NO_DELIVERY_IN_TIME, Until.ACKNOWLEDGED: Reason.NO_ACKNOWLEDGEMENT_IN_TIME}


def follows(until: Until, receipt: Receipt, message_class: MessageClass) -> bool | None:
    """What a receipt means for a message that waits to come to `until`: another one is sent (True), none is (False), or
    nothing is settled by it (None).
    """
    if receipt.stage is Stage.UNDELIVERED:
        # Also of one whose address is good, such as that of a phone without reception: this message does not arrive.
        return None if receipt.may_arrive else falls_back(Stage.FAILED, receipt.reason, message_class)
    if receipt.suppresses is SuppressionReason.PROVIDER:
        # Such as a member who may not see the app any more: nothing of their doing, and they can acknowledge nothing.
        return None
    return False if receipt.stage in _ENOUGH.get(until, frozenset()) else None


def too_late(until: Until) -> Reason:
    """Why a message falls back that did not come to `until` in its time."""
    return _TOO_LATE[until]
