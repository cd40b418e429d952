"""What becomes of the texts that the AWS sandbox took: the events that AWS publishes of them, by their number.

After the user guide of AWS End User Messaging SMS, "SMS simulator", "Example event data", "Monitoring with EventBridge"
and "Two-way SMS messaging". The guide does not say which failure its simulator's numbers have. Numbers that only this
sandbox knows play what is hard to come by otherwise.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

DETAIL_TYPE = "Text Message Delivery Status Updated"

Status = tuple[str, int]
"""A `messageStatus`, and the seconds after the text was taken."""

SUCCESS = (
    *("+14254147755", "+447860019066", "+33755512501", "+34683783440", "+85257048426", "+886903444630"),
    *("+61455944038", "+394390009172"),
)
FAILURE = (
    *("+14254147167", "+447860019067", "+33755512502", "+34683783442", "+85257048854", "+886903444632"),
    *("+61455944039", "+394390009174"),
)
"""Numbers of the vendor's simulator."""

_ON_ITS_WAY: Sequence[Status] = (("QUEUED", 0), ("SENT", 0))
_SCRIPTS: Mapping[str, Sequence[Status]] = {
    "delivered": (("DELIVERED", 2),),
    "carrier": (("SUCCESSFUL", 1),),
    "both": (("SUCCESSFUL", 1), ("DELIVERED", 76)),
    "reordered": (("DELIVERED", 1), ("SUCCESSFUL", 2)),
    "doubled": (("DELIVERED", 1), ("DELIVERED", 1)),
    "invalid": (("INVALID", 1),),
    "bad_message": (("INVALID_MESSAGE", 1),),
    "off": (("UNREACHABLE", 9),),
    "carrier_off": (("CARRIER_UNREACHABLE", 9),),
    "blocked": (("BLOCKED", 1),),
    "carrier_blocked": (("CARRIER_BLOCKED", 1),),
    "spam": (("SPAM", 1),),
    "protected": (("PROTECT_BLOCKED", 1),),
    "expired": (("TTL_EXPIRED", 300),),
    "unknown": (("UNKNOWN", 800),),
    "late": (("UNKNOWN", 800), ("DELIVERED", 860)),
    "half": (("UNREACHABLE", 2), ("DELIVERED", 3)),
    "new": (("LOST_AT_SEA", 1),),
    "silent": (),
}
NUMBERS: Mapping[str, str] = {name: f"+4474009{i:05d}" for i, name in enumerate(_SCRIPTS)}
"""The number for each script. SQS delays by up to 900 seconds, so that the 72 hours of `unknown` are short here."""
_BY_NUMBER = {number: _SCRIPTS[name] for name, number in NUMBERS.items()} | dict.fromkeys(
    FAILURE, _SCRIPTS["carrier_off"]
)


def statuses_of(to: str) -> Sequence[Status]:
    """What becomes of a text: delivered, unless its number is one that means something else."""
    return (*_ON_ITS_WAY, *_BY_NUMBER.get(to, _SCRIPTS["delivered"]))


def as_published(status: str, params: Mapping[str, Any], message_id: str, at_ms: int, parts: int) -> dict[str, Any]:
    """An event as a configuration set publishes it by SNS. params: of SendTextMessage. parts: of the text."""
    return {
        "eventType": f"TEXT_{status}",
        "eventVersion": "1.0",
        "eventTimestamp": at_ms,
        "isFinal": status not in {"QUEUED", "PENDING", "SENT"},
        "originationPhoneNumber": str(params.get("OriginationIdentity")),
        "destinationPhoneNumber": params["DestinationPhoneNumber"],
        "isInternationalSend": False,
        "messageId": message_id,
        "messageRequestTimestamp": at_ms,
        "messageEncoding": "GSM",
        "messageType": params.get("MessageType", "TRANSACTIONAL"),
        "messageStatus": status,
        "messageStatusDescription": f"The sandbox says {status}",
        "context": dict(params.get("Context") or {}),
        "totalMessageParts": parts,
        "totalMessagePrice": 0.00581,
        "totalCarrierFee": 0.003,
    }


def on_the_bus(event: Mapping[str, Any]) -> dict[str, Any]:
    """The same as EventBridge has it: without the recipient and what rides along."""
    return {name: value for name, value in event.items() if name not in {"destinationPhoneNumber", "context"}}


def reply(of: str, to: str, text: str, previous: str | None) -> dict[str, Any]:
    """What a recipient writes back. of: the recipient's number. previous: the id of the last text to it."""
    found = {
        "originationNumber": of,
        "destinationNumber": to,
        "messageKeyword": "KEYWORD_123456789012",
        "messageBody": text,
        "inboundMessageId": str(uuid.uuid4()),
    }
    return found if previous is None else {**found, "previousPublishedMessageId": previous}


def by_topic(message: Mapping[str, Any]) -> str:
    """What a topic of SNS puts on a queue that listens to it ("Amazon SNS message and JSON formats")."""
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": "arn:aws:sns:us-east-1:123456789012:mepush-receipts-texts",
            "Message": json.dumps(message),
            "Timestamp": "2026-11-30T12:00:00.000Z",
        }
    )
