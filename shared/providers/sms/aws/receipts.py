"""Reads what AWS End User Messaging SMS says of texts: its events by EventBridge or by a topic of SNS, and replies.

After its user guide, "Example event data" (what a configuration set publishes by SNS), "Monitoring with EventBridge"
(the same object as an event's `detail`, without the recipient's number and our `context`) and "Two-way SMS messaging".
An event may come twice, late, in any order, and rarely never.
"""

import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.tenants import DEFAULT_TENANT
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.sms.aws.context import MESSAGE_ID, TENANT
from shared.providers.sms.aws.receipt_codes import NEW, NEW_AND_FINAL, NOTHING_NEW, STATUSES, STOP_WORDS, Said

Json = Mapping[str, Any]

KINDS = frozenset({"TEXT", "RCS"})
"""What an `eventType` begins with, of what may be about a text of ours; others are about calls and pictures."""


def read(arrived: Arrived) -> list[Receipt]:
    """What an event or a reply says of a text; nothing of those that say nothing new. Raises: UnreadableError."""
    event = _read(arrived.body)
    event = event.get("detail", event)
    if "inboundMessageId" in event:
        return _reply(event, arrived.at)
    kind, _, status = str(event.get("eventType") or "").partition("_")
    if kind not in KINDS or status in NOTHING_NEW:
        return []
    said = STATUSES.get(status) or (NEW_AND_FINAL if event.get("isFinal") is True else NEW)
    return [_receipt(event, f"{kind}_{status}", said)]


def _receipt(event: Json, code: str, said: Said) -> Receipt:
    context: Json = event.get("context") or {}
    message_id = context.get(MESSAGE_ID)
    opted_out = said.stage is Stage.UNDELIVERED and _says_opted_out(event)
    return Receipt(
        provider="aws",
        stage=said.stage,
        at=_ms(event),
        tenant=str(context.get(TENANT) or DEFAULT_TENANT) if message_id else None,
        message_id=str(message_id) if message_id else None,
        provider_id=_text(event, "messageId"),
        address=event.get("destinationPhoneNumber"),
        reason=Reason.RECIPIENT_OPTED_OUT if opted_out else said.reason,
        code=code,
        transient=said.transient and not opted_out and not _lasts(event, said),
        may_arrive=said.may_arrive and not opted_out,
        suppresses=SuppressionReason.UNSUBSCRIBE if opted_out else None,
        note=said.note,
    )


def _lasts(event: Json, said: Said) -> bool:
    """Whether a failure is one for good though the number may be good: that of a part of a text.

    What is transient gives way to a delivery, and another part may well be delivered: the text as a whole was not.
    """
    parts = event.get("totalMessageParts")
    return isinstance(parts, int) and parts > 1 and said.reason is not Reason.NOT_DELIVERED


def _says_opted_out(event: Json) -> bool:
    # No status says it, so far; the descriptions of SNS's own texts do ("Phone number is opted out").
    return "opted out" in str(event.get("messageStatusDescription") or "").lower()


def _reply(event: Json, at: int) -> list[Receipt]:
    """A recipient's answer: that no more is wanted, or something that is not for us.

    It names the last text to its sender. One that names none is found nowhere, and so is counted as unmatched.
    """
    keyword = _keyword(event, "messageBody") or _keyword(event, "messageKeyword")
    if keyword is None:
        return []
    return [
        Receipt(
            provider="aws",
            stage=Stage.UNSUBSCRIBED,
            at=at,
            provider_id=event.get("previousPublishedMessageId") or None,
            address=_text(event, "originationNumber"),
            code=keyword,
            suppresses=SuppressionReason.UNSUBSCRIBE,
        )
    ]


def _keyword(event: Json, name: str) -> str | None:
    """The stop word that a field is; None if it is none. Phones write full-width letters, blanks and full stops."""
    written = unicodedata.normalize("NFKC", str(event.get(name) or "")).upper()
    word = " ".join(written.split()).strip(" .!。\"'")
    return word if word in STOP_WORDS else None


def _read(body: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UnreadableError("") from None
    if not isinstance(found, dict):
        raise UnreadableError("")
    return found


def _text(event: Json, name: str) -> str:
    """A field that must be there. Raises: UnreadableError."""
    found = event.get(name)
    if not isinstance(found, str) or not found:
        raise UnreadableError(name)
    return found


def _ms(event: Json) -> int:
    """When it happened, in milliseconds since the epoch. Raises: UnreadableError."""
    found = event.get("eventTimestamp")
    if isinstance(found, bool) or not isinstance(found, int):
        raise UnreadableError("eventTimestamp")
    return found
