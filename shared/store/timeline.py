"""The timeline: append-only events, one item each, in the recipient's partition."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from msgspec.structs import asdict, replace
from pydantic_core import from_json

from shared.model.ids import (
    MAX_PER_BASE,
    ULID_LENGTH,
    base_of,
    first_ulid_at,
    tag_of,
    ulid_text,
    ulid_value,
)
from shared.model.runs import MAX_BLOCK
from shared.model.words import Stage
from shared.policy.engagement import ENGAGED, judged
from shared.store.dynamo import Item, batch_delete, batch_get, batch_put, key_of, put_what_goes
from shared.store.kept_events import (
    HEADER,
    MESSAGE,
    PROVIDER,
    REQUEST,
    EventKey,
    KeptEvent,
    hour_pk,
    provider_pk,
    read_event,
    reference_pk,
    request_pk,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The messages of an envelope."""

    ids: list[str]
    header: KeptEvent | None
    """What their accepted events say of all of them, if these have no items of their own."""


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

    def puts(self, events: Iterable[Item], others: Iterable[Item]) -> list[Item]:
        """Actions of a transaction that keep events, if none of them is there yet, and other items in any case."""
        new = [
            {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}
            for item in events
        ]
        return [*new, *({"Put": {"TableName": self._table, "Item": item}} for item in others)]

    def events(self, tenant: str, message_id: str) -> list[KeptEvent]:
        """All events of a message, in no particular order."""
        return self._opened(tenant, {message_id: self._own_events(tenant, message_id)})[message_id]

    def events_of_many(self, tenant: str, message_ids: Sequence[str]) -> list[list[KeptEvent]]:
        """The events of several messages, in the order asked for."""
        run = map if self._pool is None else self._pool.map
        own = list(run(lambda message_id: self._own_events(tenant, message_id), message_ids))
        found = self._opened(tenant, dict(zip(message_ids, own, strict=True)))
        return [found[message_id] for message_id in message_ids]

    def _own_events(self, tenant: str, message_id: str) -> list[KeptEvent]:
        pk = f"{tenant}#{message_id[ULID_LENGTH:]}"
        items = self._items(pk, "begins_with(sk, :a)", {":a": {"S": message_id + "#"}})
        return _completed([read_event(item["d"]["S"]) for item in items])

    def engagements(self, messages: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[EventKey, KeptEvent]]:
        """(tenant, message id) -> all that is kept of its openings and clicks, as it was told; a request for each."""
        wanted = list(messages)
        run = map if self._pool is None else self._pool.map
        return dict(zip(wanted, run(self._engagements, wanted), strict=True))

    def _engagements(self, message: tuple[str, str]) -> dict[EventKey, KeptEvent]:
        tenant, message_id = message
        values = {":a": {"S": f"{message_id}#{Stage.CLICKED}#"}, ":b": {"S": f"{message_id}#{Stage.OPENED}#~"}}
        items = self._items(f"{tenant}#{tag_of(message_id)}", "sk BETWEEN :a AND :b", values, ConsistentRead=True)
        found = {(item["pk"]["S"], item["sk"]["S"]): read_event(item["d"]["S"]) for item in items}
        return {key: event for key, event in found.items() if event.stage in ENGAGED}

    def _opened(self, tenant: str, found: Mapping[str, list[KeptEvent]]) -> dict[str, list[KeptEvent]]:
        """Messages' events, with the accepted ones of which their envelopes' items alone know."""
        by_base: dict[str, list[str]] = defaultdict(list)
        for message_id, events in found.items():
            if not events or (events[0].run is not None and not _says_accepted(events)):
                by_base[base_of(message_id[:ULID_LENGTH])].append(message_id)
        headers: dict[str, KeptEvent] = {}
        for base, message_ids in by_base.items():
            headers |= self._headers(tenant, base, message_ids)
        return {id: [headers[id], *events] if id in headers else events for id, events in found.items()}

    def _headers(self, tenant: str, base: str, message_ids: Sequence[str]) -> dict[str, KeptEvent]:
        """The accepted events of some of a request's messages, as their envelopes' items have them."""
        ulids = sorted(message_id[:ULID_LENGTH] for message_id in message_ids)
        # An envelope has the id of its first message, and its messages are of one block.
        first = max(ulid_value(base), ulid_value(ulids[0]) - MAX_BLOCK + 1)
        values = {":a": {"S": ulid_text(first)}, ":b": {"S": f"{ulids[-1]}~"}}
        only = f"attribute_exists({HEADER})"
        if len(message_ids) == 1:
            only += " AND contains(d, :id)"
            values[":id"] = {"S": message_ids[0]}
        wanted = set(message_ids)
        headers: dict[str, KeptEvent] = {}
        for item in self._items(request_pk(tenant, base), "sk BETWEEN :a AND :b", values, FilterExpression=only):
            header = read_event(item[HEADER]["S"])
            headers.update(dict.fromkeys(wanted.intersection(from_json(item["d"]["S"])), header))
        return headers

    def newest(
        self, tenant: str, tag: str, after_ms: int, before_ms: int, limit: int, below: str | None = None
    ) -> list[tuple[str, list[KeptEvent]]]:
        """The messages to one recipient accepted in a range of time, newest first: (message id, its events).

        below: only messages whose id is less than this one. A campaign's message is among them once dispatch has looked
        at it; until then its id, its request and its run lead to it.
        """
        upper = below or first_ulid_at(before_ms)
        found: dict[str, list[KeptEvent]] = {}
        # One message has about three events; the last message read may be cut and is then left for the next round.
        for item in self._items(
            f"{tenant}#{tag}",
            "sk BETWEEN :a AND :b",
            {":a": {"S": first_ulid_at(after_ms)}, ":b": {"S": upper}},
            forward=False,
        ):
            message_id = item["sk"]["S"].partition("#")[0]
            if message_id not in found and len(found) == limit:
                break
            found.setdefault(message_id, []).append(read_event(item["d"]["S"]))
        completed = {message_id: _completed(events) for message_id, events in found.items()}
        return list(self._opened(tenant, completed).items())

    def newest_of_many(
        self, tenant: str, tags: Sequence[str], after_ms: int, before_ms: int, limit: int, below: str | None = None
    ) -> list[tuple[str, list[KeptEvent]]]:
        """What `newest` answers for each of several recipients, side by side, in no order between them."""
        run = map if self._pool is None else self._pool.map
        found = run(lambda tag: self.newest(tenant, tag, after_ms, before_ms, limit, below), tags)
        return [each for several in found for each in several]

    def sent_to(self, tenant: str, tag: str, after_ms: int) -> Iterator[tuple[str, KeptEvent]]:
        """The messages to one recipient that were accepted since and sent, newest first; each with that event."""
        return self._sent(tenant, tag, first_ulid_at(after_ms), "~")

    def sent_in_request(self, tenant: str, tag: str, message_id: str) -> Iterator[tuple[str, KeptEvent]]:
        """The messages to one recipient that were sent, of the same request (or part of a run) as another message."""
        base = base_of(message_id[:ULID_LENGTH])
        return self._sent(tenant, tag, base, f"{ulid_text(ulid_value(base) + MAX_PER_BASE - 1)}~")

    def _sent(self, tenant: str, tag: str, first: str, last: str) -> Iterator[tuple[str, KeptEvent]]:
        values = {":a": {"S": first}, ":b": {"S": last}}
        for item in self._items(f"{tenant}#{tag}", "sk BETWEEN :a AND :b", values, forward=False):
            message_id, _, rest = item["sk"]["S"].partition("#")
            if rest.partition("#")[0] == Stage.SENT:
                yield message_id, read_event(item["d"]["S"])

    def by_provider_ids(self, ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
        """(provider, its id) -> (tenant, message id), of those that are indexed and known."""
        keys = [{"pk": {"S": provider_pk(*each)}, "sk": {"S": "message"}} for each in dict.fromkeys(ids)]
        found = {}
        for item in batch_get(self._client, self._table, keys, consistent=False):
            provider, _, provider_id = item["pk"]["S"].removeprefix(PROVIDER).partition("#")
            tenant, _, message_id = item["d"]["S"].partition("#")
            found[provider, provider_id] = tenant, message_id
        return found

    def request_messages(self, tenant: str, request_id: str) -> list[str]:
        """The ids of a request's messages, in the request's order."""
        ids: set[str] = set()
        for item in self._items(request_pk(tenant, request_id), None, {}):
            ids.update(from_json(item["d"]["S"]))
        return sorted(ids)

    def by_reference(
        self, tenant: str, reference: str, after_ms: int, before_ms: int, limit: int, below: str | None = None
    ) -> list[str]:
        """The ids of messages with a reference of their own, accepted in a range of time, newest first."""
        upper = below or first_ulid_at(before_ms)
        values = {":a": {"S": MESSAGE + first_ulid_at(after_ms)}, ":b": {"S": MESSAGE + upper}}
        items = self._items(reference_pk(tenant, reference), "sk BETWEEN :a AND :b", values, forward=False)
        ids = (item["sk"]["S"].removeprefix(MESSAGE) for item in items)
        return list(islice((id for id in ids if id != below), limit))

    def requests_by_reference(self, tenant: str, reference: str, limit: int) -> list[tuple[str, str]]:
        """The requests that have a reference as a whole, newest first: (id, kind of the key)."""
        items = self._items(
            reference_pk(tenant, reference), "begins_with(sk, :a)", {":a": {"S": REQUEST}}, forward=False
        )
        return [(item["sk"]["S"].removeprefix(REQUEST), item["d"]["S"]) for item in islice(items, limit)]

    def requests_of_hour(self, tenant: str, hour: int, bucket: int, after: str, limit: int) -> list[str]:
        """Up to `limit` requests of one bucket of an hour, by id, those that come after `after`."""
        values = {":pk": {"S": hour_pk(tenant, hour, bucket)}}
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
        for item in self._items(request_pk(tenant, request_id), None, {}):
            root, _, stage = item["sk"]["S"].partition("#")
            if stage == Stage.ACCEPTED:
                header = read_event(item[HEADER]["S"]) if HEADER in item else None
                found[root] = Accepted(from_json(item["d"]["S"]), header)
        return found

    def read(self, keys: Sequence[EventKey]) -> dict[EventKey, KeptEvent]:
        """Those of these events that are kept."""
        keys = list(dict.fromkeys(keys))
        items = batch_get(
            self._client, self._table, [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys], consistent=False
        )
        return {(item["pk"]["S"], item["sk"]["S"]): read_event(item["d"]["S"]) for item in items}

    def items(self, keys: Sequence[EventKey]) -> dict[EventKey, Item]:
        """Those of these events that are kept, as they are kept now. Raises: StoreError; what the client raises."""
        asked = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in dict.fromkeys(keys)]
        found = batch_get(self._client, self._table, asked, consistent=True)
        return {key_of(item): item for item in found}

    def rename(self, events: Mapping[EventKey, Item]) -> None:
        """Keep events under other keys, then no more under their own. Done again it changes nothing.

        Raises: StoreError; what the client raises. Some may stand under both keys then.
        """
        batch_put(self._client, self._table, list(events.values()))
        batch_delete(self._client, self._table, [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in events])

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


def _says_accepted(events: Sequence[KeptEvent]) -> bool:
    return any(event.stage == Stage.ACCEPTED for event in events)


def _completed(events: list[KeptEvent]) -> list[KeptEvent]:
    """A message's events, with the accepted one that another carries along, and classes as they are known now."""
    carrier = next((event for event in events if event.accepted is not None), None)
    if carrier is None or carrier.accepted is None or _says_accepted(events):
        return judged(events)
    return judged([replace(carrier, **asdict(carrier.accepted), accepted=None), *events])
