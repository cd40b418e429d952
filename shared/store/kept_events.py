"""How the timeline keeps events: each has a key and an item, and there are items that lead to them. Pure."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from msgspec import field
from msgspec.structs import asdict

from shared.model import wire
from shared.model.events import EventRow, Facts, StreamRecord
from shared.model.ids import (
    tag_of,
    ulid_time,
)
from shared.model.words import Channel, KeyKind, MessageClass, Stage
from shared.store.counters import HOUR_MS
from shared.store.dynamo import Item

EventKey = tuple[str, str]
"""(partition, sort key) of an event."""

HEADER = "h"
"""Where a request's item has what its messages have in common, if these have no item for that."""
PROVIDER = "provider:"
MESSAGE, REQUEST = "message#", "request#"
"""What the items of a reference lead to."""
REVISED = "revised#"
"""In the partitions of their own where it is noted that a message's openings and clicks are judged anew."""
HOUR_BUCKETS = 16
"""Partitions of an hour's requests: one takes 1,000 writes a second (DynamoDB developer guide, partition limits)."""


class AcceptedFacts(Facts, kw_only=True, omit_defaults=True):
    """What an accepted event says of its message alone, where another event carries it along."""

    expires_at: int | None = None
    """The end of the time to live, in milliseconds since the epoch; of accepted and redriven messages."""


class KeptEvent(AcceptedFacts, kw_only=True, omit_defaults=True, rename={"message_class": "class"}):
    """An event as the timeline keeps it: what its row says, and what its record says of all events."""

    channel: str = ""
    message_class: str = ""
    template: str = ""
    version: int = 0
    request: str = ""
    kind: str = ""
    run: str | None = None
    variant: str | None = None
    request_reference: str | None = field(default=None, name="reference")
    """The caller's own, of the whole request."""
    accepted: AcceptedFacts | None = None
    """The message's accepted event, if it has no item of its own."""
    envelope: str | None = None
    """Of a message that may still fall back, the id of the envelope that was sent."""


read_event = wire.Reader[KeptEvent](KeptEvent)
"""Reads an event as it is kept. Raises: UnreadableError."""


def event_key(tenant: str, message_id: str, row: EventRow) -> EventKey:
    """Where an event is kept."""
    return f"{tenant}#{row.tag}", f"{message_id}#{row.stage}#{row.nth}"


def event_key_of(tenant: str, message_id: str, stage: Stage, nth: int = 0) -> EventKey:
    """Where an event of a message is kept, if there is one. Raises: ValueError for what is no message id."""
    return f"{tenant}#{tag_of(message_id)}", f"{message_id}#{stage}#{nth}"


def revised_key(tenant: str, message_id: str) -> EventKey:
    """Where it is noted that openings or clicks of a message that looked like a person's were a machine's."""
    return f"{tenant}#{REVISED}{message_id}", "revised"


def revised_item(tenant: str, message_id: str, ttl: int) -> Item:
    """The item that notes it; it is no event."""
    pk, sk = revised_key(tenant, message_id)
    return {"pk": {"S": pk}, "sk": {"S": sk}, "ttl": {"N": str(ttl)}}


def event_item(key: EventKey, record: StreamRecord, row: EventRow, ttl: int, accepted: EventRow | None = None) -> Item:
    """An event's item: what the record says of all its events, and what the row says of this one.

    accepted: the message's accepted event, if it has no item of its own.
    """
    event = kept_event(record, row)
    if accepted is not None:
        event.accepted = AcceptedFacts(**_facts(accepted), expires_at=record.expires_at)
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "d": {"S": _text(event)}, "ttl": {"N": str(ttl)}}


def kept_event(record: StreamRecord, row: EventRow) -> KeptEvent:
    """An event as the timeline keeps it."""
    told = record.expires_at is not None and row.stage in (Stage.ACCEPTED, Stage.REDRIVEN)
    return KeptEvent(
        **_facts(row),
        expires_at=record.expires_at if told else None,
        channel=record.channel,
        message_class=record.message_class,
        template=record.template,
        version=record.version,
        request=record.request,
        kind=record.kind,
        run=record.run or None,
        variant=record.variant or None,
        request_reference=record.reference or None,
        envelope=record.envelope if row.stage == Stage.SENT and row.awaits is not None else None,
    )


def record_like(event: KeptEvent, tenant: str, envelope: str, rows: list[EventRow]) -> StreamRecord:
    """A record of more events of a message, or of others that have the same in common. Raises: ValueError."""
    return StreamRecord(
        tenant=tenant,
        envelope=envelope,
        channel=Channel(event.channel),
        message_class=MessageClass(event.message_class),
        template=event.template,
        version=event.version,
        request=event.request,
        run=event.run,
        variant=event.variant,
        kind=KeyKind(event.kind),
        reference=event.request_reference,
        events=rows,
    )


def _facts(row: EventRow) -> dict[str, Any]:
    found = asdict(row)
    # These two are in its key.
    del found["index"], found["tag"]
    return found


def _text(value: Any) -> str:
    return wire.write(value).decode()


def request_item(
    record: StreamRecord, message_ids: Sequence[str], part: str, ttl: int, accepted: EventRow | None = None
) -> Item:
    """The item by which a request finds its messages. part: sorts the items of one request.

    accepted: one of the messages' accepted events, if they have no items of their own: what it says of all of them.
    """
    item: Item = {
        "pk": {"S": request_pk(record.tenant, record.request)},
        "sk": {"S": part},
        "d": {"S": _text(message_ids)},
        "ttl": {"N": str(ttl)},
    }
    if accepted is not None:
        header = kept_event(record, accepted)
        header.masked_address = header.sealed_address = header.reference = header.stands_in_for = None
        item[HEADER] = {"S": _text(header)}
    return item


def hour_item(record: StreamRecord, ttl: int) -> Item:
    """The item by which the hour in which a request was accepted finds the request."""
    hour = ulid_time(record.envelope) // HOUR_MS
    return {
        "pk": {"S": hour_pk(record.tenant, hour, crc32(record.request.encode()) % HOUR_BUCKETS)},
        "sk": {"S": record.request},
        "ttl": {"N": str(ttl)},
    }


def provider_item(record: StreamRecord, message_id: str, row: EventRow, ttl: int) -> Item:
    """The item by which a receipt finds its message, of a provider whose receipts name nothing but its own id."""
    return {
        "pk": {"S": provider_pk(row.provider or "", row.provider_id or "")},
        "sk": {"S": "message"},
        "d": {"S": f"{record.tenant}#{message_id}"},
        "ttl": {"N": str(ttl)},
    }


def reference_items(record: StreamRecord, named: Sequence[tuple[str, EventRow]], ttl: int) -> list[Item]:
    """The items by which the caller's own word finds messages, and requests that have it as a whole."""
    words = {(row.reference, f"{MESSAGE}{message_id}") for message_id, row in named if row.reference}
    if record.reference and named:
        words.add((record.reference, f"{REQUEST}{record.request}"))
    return [
        {
            "pk": {"S": reference_pk(record.tenant, word)},
            "sk": {"S": sk},
            "d": {"S": record.kind.value},
            "ttl": {"N": str(ttl)},
        }
        for word, sk in sorted(words)
    ]


def reference_pk(tenant: str, reference: str) -> str:
    return f"{tenant}#reference#{reference}"


def provider_pk(provider: str, provider_id: str) -> str:
    # No tenant's name holds a colon.
    return f"{PROVIDER}{provider}#{provider_id}"


def request_pk(tenant: str, request: str) -> str:
    return f"{tenant}#request#{request}"


def hour_pk(tenant: str, hour: int, bucket: int) -> str:
    return f"{tenant}#request#hour#{hour}#{bucket}"
