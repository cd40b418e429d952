"""Reads what exports of Amazon SES's message insights say of messages (`insights.py`), as its events are read."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.model.receipts import Receipt
from shared.model.wire import UnreadableError

Json = dict[str, Any]
Read = Callable[[Json], list[Receipt]]
"""Reads an event of SES."""

NAME = "messageInsights"
"""By it a text of an export is known."""
_KINDS: Mapping[str, str] = {"BOUNCE": "Bounce", "COMPLAINT": "Complaint", "DELIVERY": "Delivery", "REJECT": "Reject"}
"""What is new of a message whose events did not come; openings and clicks would count anew."""


def read_insights(records: Any, read: Read) -> list[Receipt]:
    """What records say. Raises: UnreadableError if they are none."""
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise UnreadableError("messageInsights")
    return [receipt for record in records for event in _events(record) for receipt in read(event)]


def _events(record: Json) -> Iterator[Json]:
    """The record's events, in the form in which SES publishes events."""
    mail = {
        "messageId": record.get("id"),
        "destination": [record["to"]] if record.get("to") else [],
        "tags": {name: [value] for name, value in (record.get("tags") or {}).items()},
    }
    for event in record.get("events") or ():
        kind = _KINDS.get(str(event.get("type")).upper())
        if kind is not None:
            facts = {"timestamp": _moment(event.get("timestamp"))} | _details(kind, event.get("details") or {}, record)
            yield {"eventType": kind, kind.lower(): facts, "mail": mail}


def _moment(value: Any) -> Any:
    """A time as SES's events have it; APIs of AWS write seconds since the epoch, too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value


def _details(kind: str, details: Json, record: Json) -> Json:
    given = {name.lower(): value for name, value in details.items()}.get(kind.lower()) or {}
    facts = {name.lower().replace("_", ""): value for name, value in given.items()}
    if kind == "Bounce":
        recipient = {"emailAddress": record.get("to"), "diagnosticCode": facts.get("diagnosticcode")}
        kinds = {"bounceType": facts.get("bouncetype"), "bounceSubType": facts.get("bouncesubtype")}
        return {**kinds, "bouncedRecipients": [recipient]}
    if kind == "Complaint":
        return {"complaintFeedbackType": str(facts.get("complaintfeedbacktype") or "").lower()}
    return {}
