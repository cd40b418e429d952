"""Accounts."""

from typing import TYPE_CHECKING

from shared.base.cache import TtlCache
from shared.model.accounts import Account
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.templates import Template
from shared.store.catalog_items import CatalogInUseError, Page, Stored, key_of, tenant_pk, unchanged
from shared.store.catalog_table import CatalogTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class AccountStore(CatalogTable):
    """Reads and writes accounts."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        super().__init__(client, table, clock, cache_seconds)
        self._accounts: TtlCache[Account] = TtlCache(clock, cache_seconds, 1000, self._miss)

    def account(self, tenant: str, account_id: str) -> Account | None:
        """An account, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"account#{account_id}"
        return self._accounts.get(f"{pk}#{sk}", lambda: self._value(Account, pk, sk), self._fresh)

    def load_account(self, tenant: str, account_id: str) -> Stored[Account] | None:
        """An account as it is now."""
        return self._load(Account, tenant_pk(tenant), f"account#{account_id}")

    def create_account(self, account: Account, record: AuditRecord) -> None:
        """Save a new account. Raises: CatalogConflictError if the id is taken."""
        self._save_account(account, None, record)

    def update_account(self, account: Account, rev: int, record: AuditRecord) -> None:
        """Replace revision `rev` of an account. Raises: CatalogConflictError if it has changed or is gone."""
        self._save_account(account, rev, record)

    def list_accounts(self, tenant: str) -> list[Account]:
        """All accounts by id."""
        return [stored.value for stored in self._all(Account, tenant_pk(tenant), "account#")]

    def page_accounts(self, tenant: str, limit: int, cursor: str | None = None) -> Page[Account]:
        """A page of at most `limit` accounts by id. Raises: CursorError."""
        return self._page(Account, tenant_pk(tenant), "account#", limit, cursor)

    def delete_account(self, account: Account, rev: int, record: AuditRecord) -> None:
        """Delete revision `rev` of an account.

        The look at the templates and the deletion are not one step: a template saved between them names an account
        that is gone, until either is mended.
        Raises: CatalogInUseError if a template that is not archived names it; CatalogConflictError if it has changed
        or is gone.
        """
        pk = tenant_pk(account.tenant)
        users = [
            stored.value.id
            for stored in self._all(Template, pk, "template#")
            if account.id in stored.value.accounts and not stored.value.archived
        ]
        if users:
            raise CatalogInUseError(users[:10])
        key = key_of(pk, f"account#{account.id}")
        self._change(record, {"Delete": {"TableName": self._table, "Key": key, **unchanged(rev)}})
        self._forget_account(account.tenant, account.id)

    def _save_account(self, account: Account, over: int | None, record: AuditRecord) -> None:
        self._change(record, self._put(tenant_pk(account.tenant), f"account#{account.id}", account, over))
        self._forget_account(account.tenant, account.id)

    def _forget_account(self, tenant: str, account_id: str) -> None:
        self._accounts.drop(f"{tenant_pk(tenant)}#account#{account_id}")
