"""The timeline: append-only events, one item each, in the recipient's partition."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from pydantic_core import from_json, to_json

from shared.model.events import EventRow, StreamRecord
from shared.model.ids import ULID_LENGTH, base_of, first_ulid_at, ulid_text, ulid_time, ulid_value
from shared.model.runs import MAX_BLOCK
from shared.model.words import Stage
from shared.store.counters import HOUR_MS
from shared.store.dynamo import Item, batch_get, put_what_goes

EventKey = tuple[str, str]
"""(partition, sort key) of an event."""

_ACCEPTED, _HEADER = "accepted", "h"
"""Where an event's document has its message's accepted event, and a request's item what its messages have in common, if
these have no item for that."""
_COMMON = ("channel", "class", "template", "version", "request", "kind", "run", "variant", "reference")
"""What the documents of all events of a message have."""
HOUR_BUCKETS = 16
"""Partitions of an hour's requests: one takes 1,000 writes a second (DynamoDB developer guide, partition limits)."""


def event_key(tenant: str, message_id: str, row: EventRow) -> EventKey:
    """Where an event is kept."""
    return f"{tenant}#{row['tag']}", f"{message_id}#{row['s']}#{row['n']}"


def event_item(key: EventKey, record: StreamRecord, row: EventRow, ttl: int, accepted: EventRow | None = None) -> Item:
    """An event's item: what the record says of all its events, and what the row says of this one.

    accepted: the message's accepted event, if it has no item of its own.
    """
    doc = {**_row_doc(row), **_record_doc(record, row["s"])}
    if accepted is not None:
        own = {} if record.expires_at is None else {"expires_at": record.expires_at}
        doc[_ACCEPTED] = _row_doc(accepted) | own
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "d": {"S": to_json(doc).decode()}, "ttl": {"N": str(ttl)}}


def _row_doc(row: EventRow) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("i", "tag")}


def _record_doc(record: StreamRecord, stage: str) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "channel": record.channel,
        "class": record.message_class,
        "template": record.template,
        "version": record.version,
        "request": record.request,
        "kind": record.kind,
    }
    doc |= {name: value for name in ("run", "variant", "reference") if (value := getattr(record, name))}
    if record.expires_at is not None and stage in (Stage.ACCEPTED, Stage.REDRIVEN):
        doc["expires_at"] = record.expires_at
    return doc


def request_item(
    record: StreamRecord, message_ids: Sequence[str], part: str, ttl: int, accepted: EventRow | None = None
) -> Item:
    """The item by which a request finds its messages. part: sorts the items of one request.

    accepted: one of the messages' accepted events, if they have no items of their own: what it says of all of them.
    """
    item: Item = {
        "pk": {"S": _request_pk(record.tenant, record.request)},
        "sk": {"S": part},
        "d": {"S": to_json(message_ids).decode()},
        "ttl": {"N": str(ttl)},
    }
    if accepted is not None:
        own = {name: value for name, value in _row_doc(accepted).items() if name not in ("to", "ref", "of")}
        item[_HEADER] = {"S": to_json(own | _record_doc(record, Stage.ACCEPTED)).decode()}
    return item


def hour_item(record: StreamRecord, ttl: int) -> Item:
    """The item by which the hour in which a request was accepted finds the request."""
    hour = ulid_time(record.envelope) // HOUR_MS
    return {
        "pk": {"S": _hour_pk(record.tenant, hour, crc32(record.request.encode()) % HOUR_BUCKETS)},
        "sk": {"S": record.request},
        "ttl": {"N": str(ttl)},
    }


def _request_pk(tenant: str, request: str) -> str:
    return f"{tenant}#request#{request}"


def _hour_pk(tenant: str, hour: int, bucket: int) -> str:
    return f"{tenant}#request#hour#{hour}#{bucket}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The messages of an envelope. header: what their accepted events say of all of them, if these have no items of
    their own."""

    ids: list[str] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)


class Timeline:
    """Reads and writes the timeline table.

    Of a campaign's message no item says that it is accepted: its events are completed from what does, its own first
    event or the item of its envelope. One that is still queued has the latter alone.
    """

    def __init__(self, client: Any, table: str, pool: Executor | None = None) -> None:
        self._client = client
        self._table = table
        self._pool = pool

    def existing(self, keys: Sequence[EventKey]) -> set[EventKey]:
        """Which of these events are kept already."""
        items = batch_get(
            self._client,
            self._table,
            [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys],
            consistent=True,
            projection="pk, sk",
        )
        return {(item["pk"]["S"], item["sk"]["S"]) for item in items}

    def put(self, items: Sequence[Item], most: int) -> list[Item]:
        """Keep events, and return those that the table does not take; keeping one again changes nothing.

        Raises: StoreError when these are more than `most`.
        """
        return put_what_goes(self._client, self._table, items, most, self._pool)

    def events(self, tenant: str, message_id: str) -> list[dict[str, Any]]:
        """All events of a message, in no particular order."""
        return self._opened(tenant, {message_id: self._own_events(tenant, message_id)})[message_id]

    def events_of_many(self, tenant: str, message_ids: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The events of several messages, in the order asked for."""
        run = map if self._pool is None else self._pool.map
        own = list(run(lambda message_id: self._own_events(tenant, message_id), message_ids))
        found = self._opened(tenant, dict(zip(message_ids, own, strict=True)))
        return [found[message_id] for message_id in message_ids]

    def _own_events(self, tenant: str, message_id: str) -> list[dict[str, Any]]:
        pk = f"{tenant}#{message_id[ULID_LENGTH:]}"
        found = [event for _, event in self._query(pk, "begins_with(sk, :a)", {":a": {"S": message_id + "#"}})]
        return _completed(found)

    def _opened(self, tenant: str, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """Messages' events, with the accepted ones of which their envelopes' items alone know."""
        by_base: dict[str, list[str]] = defaultdict(list)
        for message_id, events in found.items():
            if not events or ("run" in events[0] and not _says_accepted(events)):
                by_base[base_of(message_id[:ULID_LENGTH])].append(message_id)
        headers: dict[str, dict[str, Any]] = {}
        for base, message_ids in by_base.items():
            headers |= self._headers(tenant, base, message_ids)
        return {id: [headers[id], *events] if id in headers else events for id, events in found.items()}

    def _headers(self, tenant: str, base: str, message_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The accepted events of some of a request's messages, as their envelopes' items have them."""
        ulids = sorted(message_id[:ULID_LENGTH] for message_id in message_ids)
        # An envelope has the id of its first message, and its messages are of one block.
        first = max(ulid_value(base), ulid_value(ulids[0]) - MAX_BLOCK + 1)
        values = {":a": {"S": ulid_text(first)}, ":b": {"S": f"{ulids[-1]}~"}}
        only = f"attribute_exists({_HEADER})"
        if len(message_ids) == 1:
            only += " AND contains(d, :id)"
            values[":id"] = {"S": message_ids[0]}
        wanted = set(message_ids)
        headers: dict[str, dict[str, Any]] = {}
        for item in self._items(_request_pk(tenant, base), "sk BETWEEN :a AND :b", values, FilterExpression=only):
            header = from_json(item[_HEADER]["S"])
            headers.update(dict.fromkeys(wanted.intersection(from_json(item["d"]["S"])), header))
        return headers

    def newest(
        self, tenant: str, tag: str, after_ms: int, before_ms: int, limit: int, below: str | None = None
    ) -> list[tuple[str, list[dict[str, Any]]]]:
        """The messages to one recipient accepted in a range of time, newest first: (message id, its events).

        below: only messages whose id is less than this one. A campaign's message is among them once dispatch has looked
        at it; until then its id, its request and its run lead to it.
        """
        upper = below or first_ulid_at(before_ms)
        found: dict[str, list[dict[str, Any]]] = {}
        # One message has about three events; the last message read may be cut and is then left for the next round.
        for sk, event in self._query(
            f"{tenant}#{tag}",
            "sk BETWEEN :a AND :b",
            {":a": {"S": first_ulid_at(after_ms)}, ":b": {"S": upper}},
            forward=False,
        ):
            message_id = sk.partition("#")[0]
            if message_id not in found and len(found) == limit:
                break
            found.setdefault(message_id, []).append(event)
        completed = {message_id: _completed(events) for message_id, events in found.items()}
        return list(self._opened(tenant, completed).items())

    def request_messages(self, tenant: str, request_id: str) -> list[str]:
        """The ids of a request's messages, in the request's order."""
        ids: set[str] = set()
        for _, part in self._query(_request_pk(tenant, request_id), None, {}):
            ids.update(part)
        return sorted(ids)

    def requests_of_hour(self, tenant: str, hour: int, bucket: int, after: str, limit: int) -> list[str]:
        """Up to `limit` requests of one bucket of an hour, by id, those that come after `after`."""
        values = {":pk": {"S": _hour_pk(tenant, hour, bucket)}}
        if after:
            # DynamoDB takes no empty text for a key.
            values[":after"] = {"S": after}
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk > :after" if after else "pk = :pk",
            ExpressionAttributeValues=values,
            Limit=limit,
        )
        return [item["sk"]["S"] for item in answer["Items"]]

    def accepted_of_many(self, tenant: str, request_ids: Sequence[str]) -> list[dict[str, Accepted]]:
        """The accepted messages of several requests, in the order asked for, by root envelope."""
        run = map if self._pool is None else self._pool.map
        return list(run(lambda request_id: self._accepted(tenant, request_id), request_ids))

    def _accepted(self, tenant: str, request_id: str) -> dict[str, Accepted]:
        found: dict[str, Accepted] = {}
        for item in self._items(_request_pk(tenant, request_id), None, {}):
            root, _, stage = item["sk"]["S"].partition("#")
            if stage == Stage.ACCEPTED:
                header = from_json(item[_HEADER]["S"]) if _HEADER in item else {}
                found[root] = Accepted(from_json(item["d"]["S"]), header)
        return found

    def read(self, keys: Sequence[EventKey]) -> dict[EventKey, dict[str, Any]]:
        """Those of these events that are kept."""
        keys = list(dict.fromkeys(keys))
        items = batch_get(
            self._client, self._table, [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys], consistent=False
        )
        return {(item["pk"]["S"], item["sk"]["S"]): from_json(item["d"]["S"]) for item in items}

    def _query(
        self, pk: str, condition: str | None, values: dict[str, Any], *, forward: bool = True
    ) -> Iterator[tuple[str, Any]]:
        for item in self._items(pk, condition, values, forward=forward):
            yield item["sk"]["S"], from_json(item["d"]["S"])

    def _items(
        self, pk: str, condition: str | None, values: dict[str, Any], *, forward: bool = True, **more: Any
    ) -> Iterator[Item]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (f" AND {condition}" if condition else ""),
            "ExpressionAttributeValues": {":pk": {"S": pk}, **values},
            "ScanIndexForward": forward,
            **more,
        }
        while True:
            answer = self._client.query(**arguments)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _says_accepted(events: Sequence[dict[str, Any]]) -> bool:
    return any(event["s"] == Stage.ACCEPTED for event in events)


def _completed(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A message's events, with the accepted one that another carries along."""
    carrier = next((event for event in events if _ACCEPTED in event), None)
    if carrier is None or _says_accepted(events):
        return events
    common = {name: carrier[name] for name in _COMMON if name in carrier}
    return [common | carrier[_ACCEPTED], *events]
