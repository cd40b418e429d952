"""Deliveries of webhooks in the guard table: which events were queued, what became of each, and how endpoints are.

| pk | sk | holds |
|---|---|---|
| `hooked#<delivery id>` | `queued` | that the delivery was put on its queue; 15 days |
| `deliveries#<tenant>#<endpoint>#<day>#<bucket>` | `<ms>#<delivery id>` | a delivery that was tried or held; 14 days |
| `webhook#<tenant>#<endpoint>` | `health` | since when it fails, how often, and when it last worked |
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any
from zlib import crc32

from msgspec import Struct

from shared.model import wire
from shared.model.clock import Clock
from shared.model.webhooks import Delivery, KeptDelivery, read_kept
from shared.store.dynamo import Item, batch_get, batch_put, query_all

DAY_MS = 86_400_000
KEPT_DAYS = 14
"""An endpoint is paused after five days of failures: its owner then has nine to mend it, and to have all sent again."""
QUEUED_DAYS = 15
"""An event may come again for as long as the stream keeps it, or its ledger."""
BUCKETS = 4
"""Partitions of an endpoint's day: each takes 1,000 write units a second (DynamoDB developer guide)."""
PAGE = 50


class Health(Struct, frozen=True):
    """How an endpoint is."""

    failing_since: int | None = None
    """Since when nothing has come through, in milliseconds since the epoch."""
    failures: int = 0
    """So many tries have failed since then."""
    last_success: int | None = None
    """At most a minute older than the latest one."""


class Deliveries:
    """Keeps deliveries; thread-safe."""

    def __init__(self, client: Any, table: str, clock: Clock, pool: Executor | None = None) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._pool = pool

    def queued(self, ids: Sequence[str]) -> set[str]:
        """Which of some deliveries (distinct) were queued. Raises: StoreError, or what the client raises."""
        found = batch_get(self._client, self._table, [_queued_key(id) for id in ids], consistent=True, projection="pk")
        return {item["pk"]["S"].partition("#")[2] for item in found}

    def note_queued(self, ids: Iterable[str]) -> None:
        """Remember deliveries (distinct) as queued. Raises: StoreError, or what the client raises."""
        ttl = self._ttl(QUEUED_DAYS)
        batch_put(self._client, self._table, [{**_queued_key(id), "ttl": ttl} for id in ids], self._pool)

    def keep(self, kept: Iterable[KeptDelivery]) -> None:
        """Keep deliveries as they are now. Raises: StoreError, or what the client raises; some may be kept then."""
        ttl = self._ttl(KEPT_DAYS)
        items = {each.delivery.id: {**_kept_key(each.delivery), "d": _text(each), "ttl": ttl} for each in kept}
        batch_put(self._client, self._table, list(items.values()), self._pool)

    def newest(self, tenant: str, endpoint: str, before: tuple[int, str], after_ms: int) -> Iterator[KeptDelivery]:
        """An endpoint's deliveries whose (time, id) is less than `before`, the newest first, back to a time.

        Asked for as far as they are taken. Raises: what the client raises.
        """
        after_ms = max(after_ms, self.oldest_time())
        for day in range(min(before[0], self._clock.now_ms() + DAY_MS) // DAY_MS, after_ms // DAY_MS - 1, -1):
            buckets = [self._bucket(f"{_pk(tenant, endpoint)}#{day}#{i}", before) for i in range(BUCKETS)]
            for _, text in heapq.merge(*buckets, reverse=True):
                kept = read_kept(text)
                if kept.delivery.at < after_ms:
                    return
                yield kept

    def oldest_time(self) -> int:
        """Before this nothing is kept."""
        return self._clock.now_ms() - KEPT_DAYS * DAY_MS

    def failed(self, tenant: str, endpoint: str, failures: int, at: int) -> Health:
        """Note failed tries; returns how the endpoint is now. Raises: what the client raises."""
        answer = self._client.update_item(
            TableName=self._table,
            Key=_health_key(tenant, endpoint),
            UpdateExpression="SET since = if_not_exists(since, :at) ADD failures :n",
            ExpressionAttributeValues={":at": {"N": str(at)}, ":n": {"N": str(failures)}},
            ReturnValues="ALL_NEW",
        )
        return _health(answer["Attributes"])

    def worked(self, tenant: str, endpoint: str, at: int) -> None:
        """Note that something came through. Raises: what the client raises."""
        self._client.update_item(
            TableName=self._table,
            Key=_health_key(tenant, endpoint),
            UpdateExpression="SET worked = :at REMOVE since, failures",
            ExpressionAttributeValues={":at": {"N": str(at)}},
        )

    def begin_anew(self, tenant: str, endpoint: str) -> None:
        """Forget an endpoint's failures. Raises: what the client raises."""
        self._client.update_item(
            TableName=self._table, Key=_health_key(tenant, endpoint), UpdateExpression="REMOVE since, failures"
        )

    def health(self, tenant: str, endpoint: str) -> Health:
        """How an endpoint is. Raises: what the client raises."""
        got = self._client.get_item(TableName=self._table, Key=_health_key(tenant, endpoint), ConsistentRead=True)
        return _health(got.get("Item", {}))

    def _bucket(self, pk: str, before: tuple[int, str]) -> Iterator[tuple[str, str]]:
        for item in query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk < :before",
            ExpressionAttributeValues={":pk": {"S": pk}, ":before": {"S": _sk(*before)}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=PAGE,
        ):
            # The table deletes what is over its time days later.
            if int(item["ttl"]["N"]) * 1000 > self._clock.now_ms():
                yield item["sk"]["S"], item["d"]["S"]

    def _ttl(self, days: int) -> dict[str, str]:
        return {"N": str((self._clock.now_ms() + days * DAY_MS) // 1000)}


def _pk(tenant: str, endpoint: str) -> str:
    return f"deliveries#{tenant}#{endpoint}"


def _sk(at: int, id: str) -> str:
    return f"{at:013d}#{id}"


def _queued_key(id: str) -> Item:
    return {"pk": {"S": f"hooked#{id}"}, "sk": {"S": "queued"}}


def _kept_key(delivery: Delivery) -> Item:
    day, bucket = delivery.at // DAY_MS, crc32(delivery.id.encode()) % BUCKETS
    pk = f"{_pk(delivery.tenant, delivery.endpoint)}#{day}#{bucket}"
    return {"pk": {"S": pk}, "sk": {"S": _sk(delivery.at, delivery.id)}}


def _health_key(tenant: str, endpoint: str) -> Item:
    return {"pk": {"S": f"webhook#{tenant}#{endpoint}"}, "sk": {"S": "health"}}


def _health(item: Item) -> Health:
    def number(name: str) -> int | None:
        return int(item[name]["N"]) if name in item else None

    return Health(number("since"), number("failures") or 0, number("worked"))


def _text(kept: KeptDelivery) -> dict[str, str]:
    return {"S": wire.write(kept).decode()}
