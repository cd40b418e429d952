"""Reads what Amazon SES says of messages: its events by EventBridge, or by a topic of SNS.

After the SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS" and "Examples of event
data"; EventBridge has the same object as its event's `detail`. Each of our mails has one recipient. An event may come
twice, late, in any order, and rarely never (EventBridge reference, "Amazon SES events").
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.model.engagement import MachineSign
from shared.model.reasons import Reason
from shared.model.receipts import Arrived, Receipt
from shared.model.suppression import SuppressionReason
from shared.model.tenants import DEFAULT_TENANT
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.providers.email.bounces import bounced, is_for_ever, speaks_against_the_address
from shared.providers.email.ses.bulk import MESSAGE_ID_HEADER, MESSAGE_ID_TAG, ORIGIN_TAG
from shared.providers.email.ses.insight_receipts import NAME, read_insights

Json = Mapping[str, Any]

PERMANENT: Final[Mapping[str, tuple[Reason, SuppressionReason]]] = {
    "noemail": (Reason.ADDRESS_UNKNOWN, SuppressionReason.BOUNCE),
    "suppressed": (Reason.SUPPRESSED_PROVIDER, SuppressionReason.PROVIDER),
    "onaccountsuppressionlist": (Reason.SUPPRESSED_PROVIDER, SuppressionReason.PROVIDER),
    "ontenantsuppressionlist": (Reason.SUPPRESSED_PROVIDER, SuppressionReason.PROVIDER),
    "emailvalidationsuppressed": (Reason.ADDRESS_INVALID, SuppressionReason.PROVIDER),
    "unsubscribedrecipient": (Reason.RECIPIENT_OPTED_OUT, SuppressionReason.UNSUBSCRIBE),
}
"""Subtypes of permanent bounces that say why; the server's answer says it for `General`, and for new ones."""
TRANSIENT: Final[Mapping[str, Reason]] = {
    "mailboxfull": Reason.MAILBOX_FULL,
    "messagetoolarge": Reason.CONTENT_TOO_LONG,
    "contentrejected": Reason.CONTENT_REFUSED,
    "attachmentrejected": Reason.CONTENT_REFUSED,
    "customtimeoutexceeded": Reason.RECIPIENT_UNREACHABLE,
}
"""Subtypes of transient bounces, after which SES does not try again either."""
DELAYS: Final[Mapping[str, Reason]] = {
    "mailboxfull": Reason.MAILBOX_FULL,
    "spamdetected": Reason.CONTENT_REFUSED,
    "recipientservererror": Reason.RECIPIENT_BUSY,
    "transientcommunicationfailure": Reason.RECIPIENT_UNREACHABLE,
    "ipfailure": Reason.ADDRESS_NOT_TRUSTED,
}
"""Why SES has not delivered a message yet; it tries again by itself."""
NO_COMPLAINTS: Final = frozenset({"not-spam", "auth-failure"})
"""Kinds of feedback that say nothing against a message: it was taken out of the spam, or its sender was forged."""


def read(arrived: Arrived) -> list[Receipt]:
    """What an event says of a message; nothing of events that say nothing new. Raises: UnreadableError."""
    event = _read(arrived.body)
    if NAME in event:
        return read_insights(event[NAME], lambda each: _said(each, arrived))
    return _said(event.get("detail", event), arrived)


def _said(event: dict[str, Any], arrived: Arrived) -> list[Receipt]:
    kind = str(event.get("eventType") or event.get("notificationType") or "")
    reader = _READERS.get(kind.replace(" ", "").lower())
    if reader is None:
        return []
    mail = event["mail"]
    message_id = _message_id(mail)
    # Whoever was asked is known, and with it whose message it is: it is found by its address.
    if message_id is None and arrived.tenant is None:
        raise UnreadableError(f"mail.tags.{MESSAGE_ID_TAG}")
    facts = reader(event, next(iter(mail.get("destination") or ()), ""))
    if facts is None:
        return []
    receipt = Receipt(
        provider="ses",
        origin=_tag(mail, ORIGIN_TAG),
        tenant=arrived.tenant or DEFAULT_TENANT,
        message_id=message_id,
        provider_id=mail.get("messageId"),
        **{"at": arrived.at, **_address_of(message_id, mail), **facts},
    )
    return [receipt]


def _address_of(message_id: str | None, mail: Json) -> Json:
    return {} if message_id is not None else {"address": next(iter(mail.get("destination") or ()), None)}


def _read(body: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UnreadableError("") from None
    if not isinstance(found, dict):
        raise UnreadableError("")
    return found


def _message_id(mail: Json) -> str | None:
    """Our id of the message: from its tags, or from its headers where a notification has no tags."""
    tagged = _tag(mail, MESSAGE_ID_TAG)
    if tagged is not None:
        return tagged
    headers = (header for header in mail.get("headers") or () if isinstance(header, dict))
    wanted = MESSAGE_ID_HEADER.lower()
    return next((str(each.get("value")) for each in headers if str(each.get("name")).lower() == wanted), None)


def _tag(mail: Json, name: str) -> str | None:
    values = (mail.get("tags") or {}).get(name)
    return str(values[0]) if isinstance(values, list) and values else None


def _bounce(event: Json, to: str) -> dict[str, Any]:
    bounce = event["bounce"]
    kind, sub = str(bounce.get("bounceType")), str(bounce.get("bounceSubType"))
    recipient: Json = next(iter(bounce.get("bouncedRecipients") or ()), {})
    status, diagnostic = recipient.get("status"), recipient.get("diagnosticCode")
    reason, codes = bounced(status, diagnostic, to)
    facts = {
        "stage": Stage.UNDELIVERED,
        "at": _ms(bounce),
        "address": recipient.get("emailAddress") or to,
        "code": " ".join(each for each in (f"{kind}/{sub}", codes) if each),
    }
    # Some that SES calls transient have a code that says that there is no such address.
    if kind.lower() != "permanent" and not is_for_ever(status, diagnostic):
        known = TRANSIENT.get(sub.lower())
        # All else may be somebody's reply that they are away (SES developer guide, "Bounce types": General).
        return facts | {"transient": True, "reason": known or reason, "may_arrive": known is None}
    reason, listed = PERMANENT.get(sub.lower(), (reason, SuppressionReason.BOUNCE))
    if speaks_against_the_address(reason):
        facts["suppresses"] = listed
    return facts | {"reason": reason}


def _complaint(event: Json, to: str) -> dict[str, Any] | None:
    complaint = event["complaint"]
    kind = complaint.get("complaintFeedbackType") or ""
    if kind in NO_COMPLAINTS:
        return None
    return {
        "stage": Stage.COMPLAINED,
        "at": _ms(complaint),
        # What is named are all who may have complained: everybody of a domain.
        "address": to,
        "code": "/".join(str(each) for each in (kind, complaint.get("complaintSubType")) if each) or None,
        "suppresses": SuppressionReason.COMPLAINT,
    }


def _delivery(event: Json, to: str) -> dict[str, Any]:
    delivery = event["delivery"]
    took_ms = delivery.get("processingTimeMillis")
    return {"stage": Stage.DELIVERED, "at": _ms(delivery), "took_ms": took_ms if isinstance(took_ms, int) else None}


def _delay(event: Json, to: str) -> dict[str, Any]:
    delay = event["deliveryDelay"]
    recipient: Json = next(iter(delay.get("delayedRecipients") or ()), {})
    kind = str(delay.get("delayType"))
    reason, codes = bounced(recipient.get("status"), recipient.get("diagnosticCode"), to)
    known = DELAYS.get(kind.lower(), None if reason is Reason.NOT_DELIVERED else reason)
    return {"stage": Stage.DELAYED, "at": _ms(delay), "reason": known, "code": f"{kind} {codes}".strip()}


def _reject(event: Json, to: str) -> dict[str, Any]:
    return {
        "stage": Stage.UNDELIVERED,
        "reason": Reason.CONTENT_REFUSED,
        "code": f"Reject {event.get('reject', {}).get('reason', '')}".strip(),
    }


def _rendering_failure(event: Json, to: str) -> dict[str, Any]:
    return {"stage": Stage.UNDELIVERED, "reason": Reason.RENDERING_FAILED, "code": "Rendering Failure"}


def _subscription(event: Json, to: str) -> dict[str, Any] | None:
    change = event["subscription"]
    wanted: Json = change.get("newTopicPreferences") or {}
    if not wanted.get("unsubscribeAll"):
        return None
    return {
        "stage": Stage.UNSUBSCRIBED,
        "at": _ms(change),
        "address": to,
        "suppresses": SuppressionReason.UNSUBSCRIBE,
    }


def _opened(event: Json, to: str) -> dict[str, Any]:
    return _engaged(Stage.OPENED, event["open"])


def _clicked(event: Json, to: str) -> dict[str, Any]:
    return _engaged(Stage.CLICKED, event["click"])


def _engaged(stage: Stage, facts: Json) -> dict[str, Any]:
    # A text, and missing on older events, which says nothing.
    machine = facts.get("isBotEvent") == "Likely"
    return {"stage": stage, "at": _ms(facts), "machine": machine, "sign": MachineSign.PROVIDER if machine else None}


def _ms(facts: Json) -> int:
    """When something happened, in milliseconds since the epoch. Raises: UnreadableError."""
    try:
        return int(datetime.fromisoformat(facts["timestamp"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError):
        raise UnreadableError("timestamp") from None


_READERS: Mapping[str, Callable[[Json, str], dict[str, Any] | None]] = {
    "bounce": _bounce,
    "complaint": _complaint,
    "delivery": _delivery,
    "deliverydelay": _delay,
    "reject": _reject,
    "renderingfailure": _rendering_failure,
    "subscription": _subscription,
    "open": _opened,
    "click": _clicked,
}
