"""Makes events of what the stream tells: `{type, timestamp, data}`. Pure.

No variables, no content and no whole address: what a receiver needs to know which message it is, and what became of it.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from pydantic_core import from_json

from shared.lifecycle.verdict import CODE_BYTES
from shared.model import wire
from shared.model.clock import iso
from shared.model.events import EventRow, StreamRecord, sequence_of
from shared.model.ids import ULID_LENGTH, is_message_id
from shared.model.reasons import EXPLANATIONS, Reason, blame_of
from shared.model.reasons_zh import meaning_zh
from shared.model.sizes import clipped
from shared.model.webhooks import message_type
from shared.model.words import Stage

REFERENCE_BYTES = 1_000
MAX_BODY_BYTES = 20_000
"""Of a body; the specification advises to stay below 20 KB."""
_COUNTED_ALONE = frozenset({Stage.OPENED, Stage.CLICKED})


class Event(Struct, frozen=True):
    """An event about a message."""

    message_id: str
    stage: str
    nth: int
    type: str
    body: str


def events_of(record: StreamRecord) -> Iterator[Event]:
    """The events that a record of the stream tells, in its order."""
    accepted = {row.index: row for row in record.events if row.stage == Stage.ACCEPTED}
    for message_id, row in record.message_ids():
        if row.nth == 0 and row.stage in _COUNTED_ALONE:
            continue  # says that it happened at all, beside the row that says when
        if row.anonymous:
            continue  # is about no message that anybody could name
        type = message_type(row.stage)
        data = _data(record, message_id, row, accepted.get(row.index, row))
        yield Event(message_id, row.stage, row.nth, type, body_of(type, row.at, data))


def body_of(type: str, at: int, data: dict[str, Any]) -> str:
    """What is signed and sent. at: when it happened, in milliseconds since the epoch."""
    return wire.write({"type": type, "timestamp": iso(at), "data": data}).decode()


def message_of(body: str) -> str | None:
    """The message that a body is about; None for one about an endpoint, or a test."""
    data = from_json(body).get("data")
    found = data.get("message_id") if isinstance(data, dict) else None
    return found if isinstance(found, str) and is_message_id(found) else None


def _data(record: StreamRecord, message_id: str, row: EventRow, accepted: EventRow) -> dict[str, Any]:
    reference = row.reference or accepted.reference or record.reference
    data = {
        "message_id": message_id,
        "request_id": record.request,
        "reference": _short(reference, REFERENCE_BYTES),
        "sequence": sequence_of(row),
        "stage": row.stage,
        "kind": record.kind,
        "channel": record.channel,
        "class": record.message_class,
        "template": record.template,
        "version": record.version,
        "run": record.run,
        "variant": record.variant,
        "to": row.masked_address or accepted.masked_address,
        "account": row.account,
        "provider": row.provider,
        "provider_message_id": _short(row.provider_id, REFERENCE_BYTES),
        **_why(row),
        "code": _short(row.code, CODE_BYTES),
        "until": None if row.due_at is None else iso(row.due_at),
        **_more(row, message_id[:ULID_LENGTH]),
    }
    return {name: value for name, value in data.items() if value is not None}


def _why(row: EventRow) -> dict[str, Any]:
    """The reason, in words and whose fault it is; one of another time as it is."""
    known = row.reason if row.reason in Reason.__members__.values() else None
    return {
        "reason": row.reason,
        "reason_text": None if known is None else EXPLANATIONS[Reason(known)][0],
        "reason_text_zh": meaning_zh(known),
        "blame": blame_of(known),
    }


def _more(row: EventRow, ulid: str) -> dict[str, Any]:
    """What only some events have."""
    return {
        "transient": row.transient or None,
        "machine": row.machine or None,
        "maybe_sent": row.maybe_sent or None,
        "duration_ms": row.took_ms,
        "falls_back_to": None if row.fell_back_to is None else ulid + row.fell_back_to.tag,
        "fallback_of": None if row.stands_in_for is None else ulid + row.stands_in_for,
    }


def _short(text: str | None, most: int) -> str | None:
    return clipped(text, most) if text else None
