"""Tenants, their settings, and what belongs to all of them."""

import secrets
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

from shared.base.cache import TtlCache
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.tenants import Deployment, Tenant, TenantName, TenantSettings
from shared.store.audit import audit_put
from shared.store.catalog_items import CatalogConflictError, Page, Stored, settings_sk, tenant_pk
from shared.store.catalog_table import CatalogTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TENANTS_PK = "tenants"
"""The partition that names every tenant, so that they can be listed without reading the whole table."""
SALT_BYTES = 32
MAX_TOGETHER = 98
"""Records that go into a transaction with a change and its own (100 items: DynamoDB developer guide, "Quotas")."""


class TenantStore(CatalogTable):
    """Reads and writes tenants and settings. The current settings are kept twice: as what counts, and among all
    versions."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        super().__init__(client, table, clock, cache_seconds)
        self._tenants: TtlCache[Tenant] = TtlCache(clock, cache_seconds, 500, self._miss)
        self._settings: TtlCache[TenantSettings] = TtlCache(clock, cache_seconds, 500, self._miss)

    def tenant(self, tenant_id: str) -> Tenant | None:
        """A tenant, at most `cache_seconds` old."""
        return self._tenants.get(tenant_id, lambda: self._value(Tenant, tenant_pk(tenant_id), "tenant"), self._fresh)

    def settings(self, tenant: str) -> TenantSettings:
        """A tenant's settings, at most `cache_seconds` old."""
        pk = tenant_pk(tenant)

        def load() -> TenantSettings:
            # Where nobody has changed them there is nothing to read, and that too is worth remembering.
            return self._value(TenantSettings, pk, "settings") or TenantSettings()

        return self._settings.get(pk, load, self._fresh) or TenantSettings()

    def ensure_tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant, made with a salt of its own if there is none; callers at the same time get the same one."""
        pk = tenant_pk(tenant_id)
        found = self._load(Tenant, pk, "tenant")
        if found is None:
            salt = b64encode(secrets.token_bytes(SALT_BYTES))
            # A conflict: another made it in this moment, and its salt is the one that counts.
            with suppress(CatalogConflictError):
                tenant = Tenant(id=tenant_id, salt=salt, created_at=self._clock.now_ms())
                name = TenantName(id=tenant_id)
                self._transact(
                    self._put(pk, "tenant", tenant, None),
                    self._put(TENANTS_PK, f"tenant#{tenant_id}", name, None),
                )
            self._tenants.drop(tenant_id)
            found = self._load(Tenant, pk, "tenant")
        if found is None:
            raise CatalogConflictError("the tenant vanished while it was made")
        return found.value

    def list_tenants(self) -> list[str]:
        """The ids of all tenants."""
        return [stored.value.id for stored in self._all(TenantName, TENANTS_PK, "tenant#")]

    def load_settings(self, tenant: str) -> Stored[TenantSettings] | None:
        """A tenant's settings as they are now; None while nobody has changed them."""
        return self._load(TenantSettings, tenant_pk(tenant), "settings")

    def load_settings_version(self, tenant: str, version: int) -> TenantSettings | None:
        """A version of a tenant's settings."""
        found = self._load(TenantSettings, tenant_pk(tenant), settings_sk(version))
        return None if found is None else found.value

    def list_settings(self, tenant: str, limit: int, cursor: str | None = None) -> Page[TenantSettings]:
        """A page of at most `limit` versions of the settings by number. Raises: CursorError."""
        return self._page(TenantSettings, tenant_pk(tenant), "settings#", limit, cursor)

    def save_settings(self, tenant: str, settings: TenantSettings, over: int | None, record: AuditRecord) -> None:
        """Save the next version of the settings, over a revision. Raises: CatalogConflictError if they have changed."""
        pk = tenant_pk(tenant)
        self._change(
            record,
            self._put(pk, "settings", settings, over),
            self._put(pk, settings_sk(settings.version), settings, None),
        )
        self._settings.drop(pk)

    def load_deployment(self) -> Stored[Deployment] | None:
        """What has been set for the whole deployment; None while nobody has."""
        return self._load(Deployment, TENANTS_PK, "deployment")

    def save_deployment(self, deployment: Deployment, over: int | None, record: AuditRecord) -> None:
        """Save it over a revision, with the record in the audit log of every tenant.

        Raises: CatalogConflictError if it has changed.
        """
        others = [tenant for tenant in self.list_tenants() if tenant != record.tenant]
        puts = [audit_put(self._table, record.model_copy(update={"tenant": tenant})) for tenant in others]
        # What does not fit into the transaction comes before it, so that no tenant is left without.
        for put in puts[MAX_TOGETHER:]:
            self._transact(put)
        self._change(record, self._put(TENANTS_PK, "deployment", deployment, over), *puts[:MAX_TOGETHER])
