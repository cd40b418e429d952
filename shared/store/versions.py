"""Several versions of a template at a time, for those who look back at what was sent."""

from collections.abc import Iterable
from typing import Any

from shared.model.templates import TemplateVersion
from shared.store.catalog_items import key_of, read_item, tenant_pk, version_sk
from shared.store.dynamo import batch_get


class Versions:
    """Reads the catalog's table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def find(self, tenant: str, template_id: str, numbers: Iterable[int]) -> dict[int, TemplateVersion]:
        """Those of some versions of a template that there are, by number, by one request for a hundred."""
        keys = [key_of(tenant_pk(tenant), version_sk(template_id, number)) for number in numbers]
        items = batch_get(self._client, self._table, keys, consistent=False)
        found = (read_item(TemplateVersion, item).value for item in items)
        return {version.version: version for version in found}
