"""What carriers say of texts that did not arrive, as Tencent Cloud passes it on, and what each code means to us.

Tencent Cloud publishes the codes of texts abroad (tencentcloud.com docs: product/382/35462). Of those in the mainland
there is no list of its own: they are the carriers' (CMPP and its like), as Huawei Cloud, Qiniu and SUBMAIL list them.
The same code may mean another thing in another province, so little follows from one, and it is kept as it came.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from shared.model.reasons import Reason
from shared.model.suppression import SuppressionReason


class Failed(Struct, frozen=True):
    """Why a text did not arrive."""

    reason: Reason
    transient: bool = True
    """The number may be good all the same, and another text may arrive."""
    suppresses: SuppressionReason | None = None
    """Nothing more should go to the number."""


NO_SUCH_NUMBER: Final = Failed(Reason.ADDRESS_UNKNOWN, transient=False)
# Nobody is listed for it: numbers come back, and so much hangs on a code that provinces use as they like.
STOPPED: Final = Failed(Reason.NUMBER_SUSPENDED)
OUT_OF_REACH: Final = Failed(Reason.RECIPIENT_UNREACHABLE)
UNSUBSCRIBED: Final = Failed(Reason.RECIPIENT_OPTED_OUT, transient=False, suppresses=SuppressionReason.UNSUBSCRIBE)
LISTED: Final = Failed(Reason.RECIPIENT_BLOCKED, transient=False, suppresses=SuppressionReason.PROVIDER)
CONTENT: Final = Failed(Reason.CONTENT_REFUSED, transient=False)
SENDER: Final = Failed(Reason.SENDER_REFUSED, transient=False)
BLOCKED: Final = Failed(Reason.CARRIER_BLOCKED)
TOO_MANY: Final = Failed(Reason.RECIPIENT_LIMIT)
NO_WAY: Final = Failed(Reason.NO_ROUTE)
UNKNOWN: Final = Failed(Reason.NOT_DELIVERED)
"""Also of codes that are in no table."""

_CLASSES: Final[Mapping[str, Failed]] = {
    "MK:0000 MK:0001 MI:0054 MI:0073 MI:0210 CB:0001 CB:0053 DB:0101": NO_SUCH_NUMBER,
    # A province's block, too; a carrier's refusal, which may be for the number; and numbers that others use otherwise.
    "MK:0075 SUBFAIL 1 12": Failed(Reason.ADDRESS_UNKNOWN),
    "MK:0005 MK:0013 DB:0102 CB:0007 MI:0019 MI:0051": STOPPED,
    "UNDELIV EXPIRED MK:0010 MK:0023 MI:0024 MI:0042 MI:0059 MI:0072 MI:0076 MI:0082": OUT_OF_REACH,
    # The phone itself, or its memory.
    "MI:0017 MI:0055 MI:0099 MI:0208 DELETED": OUT_OF_REACH,
    # Who answered that they want no more of it, or complained of it to the ministry: codes still go to them.
    "MBBLACK": UNSUBSCRIBED,
    "BLACK BLOCKED PUBLOKD DB:0144 DBBLACK HD:0001 MA:0001": LISTED,
    "KEYWORD ID:0076 MK:0115 MK:1004 DJ:0255": CONTENT,
    "SIGNBLOCKED SIGFAIL XA:0003": SENDER,
    "MK:0012 MK:0015 MK:0036 MB:1041 MN:0001 REJECTD": BLOCKED,
    "DB:0142 MK:1041 MI:0061 IB:0008 MI:0079": TOO_MANY,
    "NP:1243 COMFAIL WTNFAIL": NO_WAY,
    "UNKNOWN": UNKNOWN,
}
CODES: Final[Mapping[str, Failed]] = {code: failed for codes, failed in _CLASSES.items() for code in codes.split()}
"""Codes as they come, in capitals."""
PREFIXES: Final[Mapping[str, Failed]] = {"BEYOND": TOO_MANY, "NOROUTE": NO_WAY}
"""What families of codes begin with, such as `BEYONDH` and `BEYONDD` for too many in an hour and on a day."""


def failed(code: str) -> Failed:
    """Why a text did not arrive, by the carrier's code in any case; `UNKNOWN` for one that is in no table."""
    known = code.strip().upper()
    return CODES.get(known) or next(
        (meaning for prefix, meaning in PREFIXES.items() if known.startswith(prefix)), UNKNOWN
    )
