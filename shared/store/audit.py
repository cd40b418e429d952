"""The audit log in the catalog table: a partition per tenant and month, records in order of time, kept for good.

A change's record is written by the transaction that writes the change (see `Catalog`), so neither is there alone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from shared.model.audit import AuditRecord
from shared.model.ids import first_ulid_at, ulid_text, ulid_time, ulid_value
from shared.store.catalog_items import CursorError, Page, from_cursor, item_of, put_of, read_item, to_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_QUERIES = 20
"""Per page: a search for what is rare answers in bounded time, with a cursor to go on from."""
BATCH = 100
PAGE_BYTES = 2_000_000
"""A page ends with the record that goes beyond it: an answer has 6 MB at most (Lambda developer guide, "Quotas")."""


class AuditSearch(Struct, frozen=True):
    """Which records are wanted."""

    after: int
    """`after` and `before`: milliseconds since the epoch, from the one until before the other."""
    before: int
    who: str | None = None
    target: str | None = None
    """Also finds what belongs to it."""
    action: str | None = None

    def finds(self, record: AuditRecord) -> bool:
        """Whether a record is wanted, by all but its time."""
        return (
            self.who in (None, record.who)
            and self.action in (None, record.action)
            and (self.target is None or record.is_about(self.target))
        )


def audit_put(table: str, record: AuditRecord) -> Any:
    """The part of a transaction that writes a record."""
    return {"Put": _put(table, record)}


class AuditLog:
    """Reads the audit log, and adds what no transaction of the catalog can; thread-safe."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def add(self, record: AuditRecord) -> None:
        """Write the record of a change that is kept elsewhere than in the catalog, or spans many items."""
        self._client.put_item(**_put(self._table, record))

    def page(self, tenant: str, search: AuditSearch, limit: int, cursor: str | None = None) -> Page[AuditRecord]:
        """A page of at most `limit` records, the newest first. It may hold fewer, even none, and yet have a cursor.

        Raises: CursorError.
        """
        below = first_ulid_at(max(0, search.before))
        if cursor is not None:
            below = min(below, _position(cursor))
        found: list[AuditRecord] = []
        size, rest = 0, ""
        for records, rest in self._batches(tenant, first_ulid_at(max(0, search.after)), below):
            for record in records:
                if search.finds(record):
                    # One more than asked for, so that a full last page has no cursor to an empty one.
                    if len(found) == limit or size > PAGE_BYTES:
                        return Page(found, to_cursor(below))
                    found.append(record)
                    size += len(record.model_dump_json().encode())
                below = record.id
            below = rest
        return Page(found, to_cursor(rest) if rest else None)

    def _batches(self, tenant: str, least: str, below: str) -> Iterator[tuple[list[AuditRecord], str]]:
        """Records back from `below`, and where what is older than a batch begins; empty after the last."""
        queries = 0
        while below > least and queries < MAX_QUERIES:
            month = _month(ulid_time(below) - (below == first_ulid_at(ulid_time(below))))
            records, more = self._query(f"audit#{tenant}#{month}", least, below)
            queries += 1
            below = records[-1].id if more else first_ulid_at(_start(month))
            yield records, below if below > least else ""

    def _query(self, pk: str, least: str, below: str) -> tuple[list[AuditRecord], bool]:
        # BETWEEN includes both, and `below` was seen already.
        most = ulid_text(ulid_value(below) - 1)
        got = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :least AND :most",
            ExpressionAttributeValues={":pk": {"S": pk}, ":least": {"S": least}, ":most": {"S": most}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=BATCH,
        )
        return [read_item(AuditRecord, item).value for item in got["Items"]], "LastEvaluatedKey" in got


def _put(table: str, record: AuditRecord) -> Any:
    return put_of(table, item_of(f"audit#{record.tenant}#{_month(record.at)}", record.id, record, 1), None)


def _month(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m")


def _start(month: str) -> int:
    """When a month begins, in milliseconds since the epoch."""
    return int(datetime.strptime(f"{month}-01", "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000


def _position(cursor: str) -> str:
    below = from_cursor(cursor, "")
    try:
        ulid_value(below)
        # A time beyond the calendar's is none of ours.
        _month(ulid_time(below))
    except (ValueError, OverflowError):
        raise CursorError("not a cursor of this listing") from None
    return below
