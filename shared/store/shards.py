"""The shards of runs in the guard table: `run#<tenant>#<run>`, one item each, in the file's order.

Every write is guarded by the revision that it replaces: of two who work on a shard only one gets on, and what is
counted with a write is counted once.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from shared.model.clock import Clock
from shared.model.runs import Shard
from shared.store.catalog_items import Stored, item_of, key_of, put_of, read_item
from shared.store.dynamo import query_all

MAX_ACTIONS = 100
"""Of a transaction (DynamoDB API reference, TransactWriteItems)."""
TTL_S = 60 * 86_400
"""After the last work on it; a run's report is kept with the run."""


class Shards:
    """Reads and writes shards; thread-safe."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def create(self, tenant: str, run: str, shards: Sequence[Shard]) -> None:
        """Save new shards (any number); those that are there stay as they are, since somebody may work on them."""
        for start in range(0, len(shards), MAX_ACTIONS):
            puts = [
                put_of(self._table, self._item(tenant, run, each, 1), None) for each in shards[start:][:MAX_ACTIONS]
            ]
            try:
                self._client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
            except self._client.exceptions.TransactionCanceledException:
                # Another planner was here, or is: it cuts the file as this one does.
                for put in puts:
                    with suppress(self._client.exceptions.ConditionalCheckFailedException):
                        self._client.put_item(**put)

    def load(self, tenant: str, run: str, number: int) -> Stored[Shard] | None:
        """A shard as it is now."""
        key = key_of(_pk(tenant, run), _sk(number))
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else read_item(Shard, item)

    def save(self, tenant: str, run: str, shard: Shard, rev: int) -> Stored[Shard] | None:
        """Replace revision `rev` of a shard; None if somebody else was faster."""
        item = self._item(tenant, run, shard, rev + 1)
        try:
            self._client.put_item(**put_of(self._table, item, rev), ReturnValuesOnConditionCheckFailure="ALL_OLD")
        except self._client.exceptions.ConditionalCheckFailedException as error:
            # The client repeats a write whose answer was lost, and then meets its own.
            there = error.response.get("Item")
            if there is not None and read_item(Shard, there) == Stored(shard, rev + 1):
                return Stored(shard, rev + 1)
            return None
        return Stored(shard, rev + 1)

    def all(self, tenant: str, run: str, consistent: bool = True) -> list[Shard]:
        """All shards of a run, in the file's order."""
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _pk(tenant, run)}},
            ConsistentRead=consistent,
        )
        return [read_item(Shard, item).value for item in found]

    def _item(self, tenant: str, run: str, shard: Shard, rev: int) -> dict[str, Any]:
        ttl = {"N": str(max(self._clock.now_ms(), shard.due_at) // 1000 + TTL_S)}
        return {**item_of(_pk(tenant, run), _sk(shard.number), shard, rev), "ttl": ttl}


def _pk(tenant: str, run: str) -> str:
    return f"run#{tenant}#{run}"


def _sk(number: int) -> str:
    return f"shard#{number:06d}"
