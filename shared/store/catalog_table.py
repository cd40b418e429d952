"""The catalog's table: reads and writes documents, each write with the audit log's record of it."""

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel

from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.store.audit import audit_put
from shared.store.catalog_items import (
    MAX_SORT_KEY_BYTES,
    Page,
    Stored,
    conflicts,
    from_cursor,
    item_of,
    key_of,
    put_of,
    read_item,
    to_cursor,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

M = TypeVar("M", bound=BaseModel)


class CatalogTable:
    """What those who read and write the catalog share; thread-safe.

    cache_seconds: how old what the hot paths read may be, but for what says otherwise. That something does not exist is
    remembered for one second at most.
    """

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._miss = min(1.0, cache_seconds)
        self._fresh = False

    @property
    def fresh(self) -> Self:
        """The same, but the hot paths read what is stored now; others find it in memory afterwards."""
        view = copy(self)
        view._fresh = True
        return view

    def _value(self, model: type[M], pk: str, sk: str) -> M | None:
        found = self._load(model, pk, sk, consistent=self._fresh)
        return None if found is None else found.value

    def _load(self, model: type[M], pk: str, sk: str, consistent: bool = True) -> Stored[M] | None:
        # A longer key cannot exist, and DynamoDB refuses to look for it.
        if len(sk.encode(errors="replace")) > MAX_SORT_KEY_BYTES or len(pk.encode(errors="replace")) > 2048:
            return None
        got = self._client.get_item(TableName=self._table, Key=key_of(pk, sk), ConsistentRead=consistent)
        item = got.get("Item")
        return None if item is None else read_item(model, item)

    def _change(self, record: AuditRecord, *items: Any) -> None:
        """Write a change and its record, or neither."""
        self._transact(*items, audit_put(self._table, record))

    def _put(self, pk: str, sk: str, value: BaseModel, over: int | None) -> Any:
        return {"Put": put_of(self._table, item_of(pk, sk, value, (over or 0) + 1), over)}

    def _transact(self, *items: Any) -> None:
        with conflicts():
            self._client.transact_write_items(TransactItems=list(items))

    def _page(self, model: type[M], pk: str, prefix: str, limit: int, cursor: str | None) -> Page[M]:
        after = None if cursor is None else from_cursor(cursor, prefix)
        # One more than asked for, so that a full last page has no cursor to an empty one.
        items, more = self._query(pk, prefix, limit + 1, after)
        more = more or len(items) > limit
        items = items[:limit]
        documents = [read_item(model, item).value for item in items]
        return Page(documents, to_cursor(items[-1]["sk"]["S"]) if more and items else None)

    def _all(self, model: type[M], pk: str, prefix: str) -> Iterator[Stored[M]]:
        after: str | None = None
        more = True
        while more:
            items, more = self._query(pk, prefix, 1000, after)
            for item in items:
                yield read_item(model, item)
            after = items[-1]["sk"]["S"] if items else None

    def _query(self, pk: str, prefix: str, limit: int, after: str | None) -> tuple[list[Any], bool]:
        more: dict[str, Any] = {} if after is None else {"ExclusiveStartKey": key_of(pk, after)}
        got = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":prefix": {"S": prefix}},
            ConsistentRead=True,
            Limit=limit,
            **more,
        )
        return list(got["Items"]), "LastEvaluatedKey" in got
