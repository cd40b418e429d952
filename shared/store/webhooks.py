"""Endpoints of webhooks in the catalog table, in a partition of their own: `webhooks#<tenant>`."""

from typing import TYPE_CHECKING

from shared.base.cache import TtlCache
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.webhooks import Webhook
from shared.store.catalog_items import Page, Stored, key_of, unchanged
from shared.store.catalog_table import CatalogTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PREFIX = "webhook#"


class WebhookStore(CatalogTable):
    """Reads and writes endpoints. Who sends to them may stop them: of the catalog it writes this partition alone."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        super().__init__(client, table, clock, cache_seconds)
        self._webhooks: TtlCache[tuple[Webhook, ...]] = TtlCache(clock, cache_seconds, 500, self._miss)

    def webhooks(self, tenant: str) -> tuple[Webhook, ...]:
        """A tenant's endpoints, at most `cache_seconds` old. That there are none is remembered as long."""
        return self._webhooks.get(tenant, lambda: tuple(self.all_webhooks(tenant)), self._fresh) or ()

    def all_webhooks(self, tenant: str) -> list[Webhook]:
        """A tenant's endpoints as they are now, by id."""
        return [stored.value for stored in self._all(Webhook, _pk(tenant), _PREFIX)]

    def load_webhook(self, tenant: str, webhook_id: str) -> Stored[Webhook] | None:
        """An endpoint as it is now."""
        return self._load(Webhook, _pk(tenant), f"{_PREFIX}{webhook_id}")

    def page_webhooks(self, tenant: str, limit: int, cursor: str | None = None) -> Page[Webhook]:
        """A page of at most `limit` endpoints by id. Raises: CursorError."""
        return self._page(Webhook, _pk(tenant), _PREFIX, limit, cursor)

    def save_webhook(self, webhook: Webhook, over: int | None, record: AuditRecord) -> None:
        """Save an endpoint. over: the revision that it replaces; None for a new one.

        Raises: CatalogConflictError if it has changed, is gone, or its id is taken.
        """
        self._change(record, self._put(_pk(webhook.tenant), f"{_PREFIX}{webhook.id}", webhook, over))
        self._webhooks.drop(webhook.tenant)

    def delete_webhook(self, webhook: Webhook, rev: int, record: AuditRecord) -> None:
        """Delete revision `rev` of an endpoint. Raises: CatalogConflictError if it has changed or is gone."""
        key = key_of(_pk(webhook.tenant), f"{_PREFIX}{webhook.id}")
        self._change(record, {"Delete": {"TableName": self._table, "Key": key, **unchanged(rev)}})
        self._webhooks.drop(webhook.tenant)


def _pk(tenant: str) -> str:
    return f"webhooks#{tenant}"
