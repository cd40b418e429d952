"""Reads what bounces say of messages that went by SMTP, as the reader of mailboxes puts them on the queue one by one.

The codes are those of RFC 3463 and 3464; why a message came back is told as for replies to our own SMTP. The mail
itself never is on the queue: anything may stand in it.
"""

from typing import Final

import msgspec
from msgspec import Struct

from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.wire import Reader, UnreadableError
from shared.model.words import Stage
from shared.providers.email.bounces import bounced, is_for_ever, speaks_against_the_address
from shared.providers.email.smtp.bounce_mail.kinds import Bounce, Complaint

COMPLAINED: Final = "complained"
NO_COMPLAINTS: Final = frozenset({"not-spam", "auth-failure"})
"""Kinds of feedback that say nothing against a message (RFC 5965 section 7.3, RFC 6591)."""
QUIET: Final = frozenset({"relayed", "expanded"})
"""Said of a message that went on to where nobody reports from."""
PASSING: Final = frozenset(
    {
        *(Reason.MAILBOX_FULL, Reason.RECIPIENT_BUSY, Reason.RECIPIENT_UNREACHABLE, Reason.RECIPIENT_LIMIT),
        *(Reason.PROVIDER_BUSY, Reason.THROTTLED),
    }
)
"""Reasons that may be gone tomorrow, whatever the code says."""
VAGUE: Final = frozenset({Reason.NOT_DELIVERED, Reason.RECIPIENT_BLOCKED})
"""What a bare code such as 5.0.0 comes to, which servers say of contents and senders, too: nobody is listed for it."""
_EXPIRED = "5.4.7"
"""The time for trying was over (RFC 3463 section 3.5), which servers report as a failure for good."""


class Said(Struct, omit_defaults=True):
    """What a bounce says, on the queue."""

    action: str
    """Of RFC 3464, or `complained`."""
    message_id: str | None = None
    """Ours."""
    address: str | None = None
    status: str | None = None
    diagnostic: str | None = None
    """Without addresses."""
    kind: str | None = None
    """Of a complaint."""


_said = Reader[Said](Said)


def as_body(what: Bounce | Complaint) -> str:
    """What goes on the queue for it."""
    if isinstance(what, Complaint):
        said = Said(action=COMPLAINED, message_id=what.message_id, address=what.address, kind=what.kind)
    else:
        said = Said(
            action=what.action,
            message_id=what.message_id,
            address=what.address,
            status=what.status,
            diagnostic=what.diagnostic,
        )
    return msgspec.json.encode(said).decode()


def says_something(what: Bounce | Complaint) -> bool:
    """Whether anything follows from it."""
    return what.kind not in NO_COMPLAINTS if isinstance(what, Complaint) else what.action not in QUIET


def read(arrived: Arrived) -> list[Receipt]:
    """What a bounce says of a message; nothing of those that say nothing new. Raises: UnreadableError.

    It is about a message of the tenant whose mailbox it came to. A bounce that names no message of ours but an address
    is about the last message to it through this account; since anybody can write one, nobody is listed for it.
    """
    said = _said(arrived.body)
    if arrived.tenant is None or (said.message_id is None and said.address is None):
        raise UnreadableError("message_id")
    known = said.message_id is not None
    receipt = Receipt(
        provider="smtp",
        stage=Stage.SENT,
        at=arrived.at,
        tenant=arrived.tenant,
        # Accounts may share a mailbox; our id alone says which message it was.
        account=None if known else arrived.account,
        message_id=said.message_id,
        address=said.address,
        latest=not known,
    )
    if said.action == "delivered":
        return [msgspec.structs.replace(receipt, stage=Stage.DELIVERED)]
    if said.action == COMPLAINED:
        listed = SuppressionReason.COMPLAINT if known else None
        quiet = said.kind in NO_COMPLAINTS
        return [] if quiet else [_with(receipt, Stage.COMPLAINED, None, said.kind, suppresses=listed)]
    if said.action not in ("failed", "delayed"):
        return []
    return [_failed(receipt, said, known)]


def _failed(receipt: Receipt, said: Said, known: bool) -> Receipt:
    reason, codes = bounced(said.status, said.diagnostic, said.address or "")
    if said.action == "delayed":
        told = None if reason is Reason.NOT_DELIVERED else reason
        return _with(receipt, Stage.DELAYED, told, codes)
    for_ever = is_for_ever(said.status, said.diagnostic)
    passing = (said.status or codes).startswith("4") or said.status == _EXPIRED or reason in PASSING
    if passing and not for_ever:
        return _with(receipt, Stage.UNDELIVERED, reason, codes, transient=True)
    against = for_ever or (speaks_against_the_address(reason) and reason not in VAGUE)
    listed = SuppressionReason.BOUNCE if against and known else None
    return _with(receipt, Stage.UNDELIVERED, reason, codes, suppresses=listed)


def _with(
    receipt: Receipt,
    stage: Stage,
    reason: Reason | None,
    code: str | None,
    *,
    transient: bool = False,
    suppresses: SuppressionReason | None = None,
) -> Receipt:
    return msgspec.structs.replace(
        receipt, stage=stage, reason=reason, code=code or None, transient=transient, suppresses=suppresses
    )
