"""The timeline: append-only events, one item each, in the recipient's partition."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Any
from zlib import crc32

from pydantic_core import from_json, to_json

from shared.model.events import EventRow, StreamRecord
from shared.model.ids import ULID_LENGTH, first_ulid_at, ulid_time
from shared.model.words import Stage
from shared.store.counters import HOUR_MS
from shared.store.dynamo import Item, batch_get, batch_put

EventKey = tuple[str, str]
"""(partition, sort key) of an event."""

HOUR_BUCKETS = 16
"""Partitions of an hour's requests: one takes 1,000 writes a second (DynamoDB developer guide, partition limits)."""


def event_key(tenant: str, message_id: str, row: EventRow) -> EventKey:
    """Where an event is kept."""
    return f"{tenant}#{row['tag']}", f"{message_id}#{row['s']}#{row['n']}"


def event_item(key: EventKey, record: StreamRecord, row: EventRow, ttl: int) -> Item:
    """An event's item: what the record says of all its events, and what the row says of this one."""
    doc = {
        **{k: v for k, v in row.items() if k not in ("i", "tag")},
        "channel": record.channel,
        "class": record.message_class,
        "template": record.template,
        "version": record.version,
        "request": record.request,
        "kind": record.kind,
    }
    if record.run:
        doc["run"] = record.run
    if record.reference:
        doc["reference"] = record.reference
    if record.expires_at is not None and row["s"] in (Stage.ACCEPTED, Stage.REDRIVEN):
        doc["expires_at"] = record.expires_at
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}, "d": {"S": to_json(doc).decode()}, "ttl": {"N": str(ttl)}}


def request_item(record: StreamRecord, message_ids: Sequence[str], part: str, ttl: int) -> Item:
    """The item by which a request finds its messages. part: sorts the items of one request."""
    return {
        "pk": {"S": f"{record.tenant}#request#{record.request}"},
        "sk": {"S": part},
        "d": {"S": to_json(message_ids).decode()},
        "ttl": {"N": str(ttl)},
    }


def hour_item(record: StreamRecord, ttl: int) -> Item:
    """The item by which the hour in which a request was accepted finds the request."""
    hour = ulid_time(record.envelope) // HOUR_MS
    return {
        "pk": {"S": _hour_pk(record.tenant, hour, crc32(record.request.encode()) % HOUR_BUCKETS)},
        "sk": {"S": record.request},
        "ttl": {"N": str(ttl)},
    }


def _hour_pk(tenant: str, hour: int, bucket: int) -> str:
    return f"{tenant}#request#hour#{hour}#{bucket}"


class Timeline:
    """Reads and writes the timeline table."""

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

    def put(self, items: Sequence[Item]) -> None:
        """Keep events; keeping one again changes nothing."""
        batch_put(self._client, self._table, items, self._pool)

    def events(self, tenant: str, message_id: str) -> list[dict[str, Any]]:
        """All events of a message, in no particular order."""
        pk = f"{tenant}#{message_id[ULID_LENGTH:]}"
        return [event for _, event in self._query(pk, "begins_with(sk, :a)", {":a": {"S": message_id + "#"}})]

    def events_of_many(self, tenant: str, message_ids: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The events of several messages, in the order asked for."""
        run = map if self._pool is None else self._pool.map
        return list(run(lambda message_id: self.events(tenant, message_id), message_ids))

    def newest(
        self, tenant: str, tag: str, after_ms: int, before_ms: int, limit: int, below: str | None = None
    ) -> list[tuple[str, list[dict[str, Any]]]]:
        """The messages to one recipient accepted in a range of time, newest first: (message id, its events).

        below: only messages whose id is less than this one.
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
        return list(found.items())

    def request_messages(self, tenant: str, request_id: str) -> list[str]:
        """The ids of a request's messages, in the request's order."""
        ids: set[str] = set()
        for _, part in self._query(f"{tenant}#request#{request_id}", None, {}):
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

    def accepted_of_many(self, tenant: str, request_ids: Sequence[str]) -> list[dict[str, list[str]]]:
        """The accepted messages of several requests, in the order asked for: root envelope -> message ids."""
        run = map if self._pool is None else self._pool.map
        return list(run(lambda request_id: self._accepted(tenant, request_id), request_ids))

    def _accepted(self, tenant: str, request_id: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for part, ids in self._query(f"{tenant}#request#{request_id}", None, {}):
            root, _, stage = part.partition("#")
            if stage == Stage.ACCEPTED:
                found[root] += ids
        return dict(found)

    def read(self, keys: Sequence[EventKey]) -> dict[EventKey, dict[str, Any]]:
        """Those of these events that are kept."""
        keys = list(dict.fromkeys(keys))
        items = batch_get(
            self._client, self._table, [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys], consistent=False
        )
        return {(item["pk"]["S"], item["sk"]["S"]): from_json(item["d"]["S"]) for item in items}

    def _query(
        self, pk: str, condition: str | None, values: dict[str, Any], *, forward: bool = True
    ) -> Iterable[tuple[str, Any]]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (f" AND {condition}" if condition else ""),
            "ExpressionAttributeValues": {":pk": {"S": pk}, **values},
            "ScanIndexForward": forward,
        }
        while True:
            answer = self._client.query(**arguments)
            for item in answer["Items"]:
                yield item["sk"]["S"], from_json(item["d"]["S"])
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
