"""What AWS End User Messaging SMS says became of texts, and what each means to us.

After its user guide, "Event types for SMS, MMS, and voice" and "Example event data"; RCS's from the list of event types
in its API reference (`MatchingEventTypes`).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from shared.model.reasons import Reason
from shared.model.words import Stage


class Said(Struct, frozen=True):
    """What a status says of a text."""

    stage: Stage
    reason: Reason | None = None
    transient: bool = False
    """Of an undelivered text: the number may be good all the same."""
    may_arrive: bool = False
    """Of a transient one: the text may have arrived all the same."""
    note: str | None = None


BY_CARRIER = "as far as the recipient's carrier"

NOTHING_NEW: Final = frozenset({"QUEUED", "PENDING", "SENT", "ACCEPTED", "FALLEN_BACK_TO_SMS"})
"""Statuses of texts that are on their way."""

STATUSES: Final[Mapping[str, Said]] = {
    "DELIVERED": Said(Stage.DELIVERED),
    # In some countries all that ever comes, and the same as delivered; in others the handset's answer follows.
    "SUCCESSFUL": Said(Stage.DELIVERED, note=BY_CARRIER),
    "READ": Said(Stage.OPENED),
    "INVALID": Said(Stage.UNDELIVERED, Reason.ADDRESS_UNKNOWN),
    "INVALID_MESSAGE": Said(Stage.UNDELIVERED, Reason.CONTENT_INVALID),
    "SPAM": Said(Stage.UNDELIVERED, Reason.CONTENT_REFUSED),
    "BLOCKED": Said(Stage.UNDELIVERED, Reason.RECIPIENT_BLOCKED),
    "CARRIER_BLOCKED": Said(Stage.UNDELIVERED, Reason.CARRIER_BLOCKED),
    # By the country, as a rule; by the number, if somebody has listed it.
    "PROTECT_BLOCKED": Said(Stage.UNDELIVERED, Reason.REGION_NOT_ENABLED),
    "UNROUTABLE": Said(Stage.UNDELIVERED, Reason.NO_ROUTE),
    "FAILED": Said(Stage.UNDELIVERED, Reason.NOT_DELIVERED),
    "UNREACHABLE": Said(Stage.UNDELIVERED, Reason.RECIPIENT_UNREACHABLE, transient=True),
    "CARRIER_UNREACHABLE": Said(Stage.UNDELIVERED, Reason.NO_ROUTE, transient=True),
    "TTL_EXPIRED": Said(Stage.UNDELIVERED, Reason.RECIPIENT_UNREACHABLE, transient=True),
    # No carrier has said anything for 72 hours: it may have arrived, and one may say so yet.
    "UNKNOWN": Said(Stage.UNDELIVERED, Reason.NOT_DELIVERED, transient=True, may_arrive=True),
}
"""`messageStatus`, which is `eventType` without its `TEXT_` or `RCS_`, to what it means."""

NEW_AND_FINAL: Final = STATUSES["UNKNOWN"]
"""A status that is not known here, if AWS says that it is the last one."""
NEW: Final = Said(Stage.DELAYED)
"""One after which more is to come."""

STOP_WORDS: Final = frozenset(
    {
        *("ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"),
        *("STOPALL", "STOP ALL", "OPT OUT", "REVOKE", "退订"),
    }
)
"""Replies that end a recipient's consent, in capitals: the keywords of AWS's opt-out lists, and words for the same."""
