"""Erasures in the catalog table: `erasures#<tenant>`, by id, so in order of time. They stay, without the person."""

from collections.abc import Iterator
from contextlib import suppress

from shared.model.audit import AuditRecord
from shared.model.erasures import Erasure
from shared.store.catalog_items import CatalogConflictError, Stored, conflicts, item_of, put_of, read_item
from shared.store.catalog_table import CatalogTable
from shared.store.dynamo import query_all


class ErasureStore(CatalogTable):
    """Reads and writes them."""

    def erasure(self, tenant: str, id: str) -> Stored[Erasure] | None:
        """An erasure as it is now. Raises: what the table raises."""
        return self._load(Erasure, erasures_pk(tenant), id)

    def create(self, erasure: Erasure, record: AuditRecord) -> None:
        """Save a new one, with the audit log's record. Raises: CatalogConflictError; what the table raises."""
        self._change(record, self._put(erasures_pk(erasure.tenant), erasure.id, erasure, None))

    def save(self, erasure: Erasure, over: int) -> Stored[Erasure] | None:
        """Replace a revision; None if another was faster. Raises: what the table raises."""
        item = item_of(erasures_pk(erasure.tenant), erasure.id, erasure, over + 1)
        with suppress(CatalogConflictError), conflicts():
            self._client.put_item(**put_of(self._table, item, over))
            return Stored(erasure, over + 1)
        return None

    def newest(self, tenant: str) -> Iterator[Erasure]:
        """A tenant's erasures, the newest first; asked for as far as they are taken. Raises: what the table raises."""
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": erasures_pk(tenant)}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=100,
        )
        return (read_item(Erasure, item).value for item in found)


def erasures_pk(tenant: str) -> str:
    """The partition of a tenant's erasures."""
    return f"erasures#{tenant}"
