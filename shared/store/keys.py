"""API keys."""

from typing import TYPE_CHECKING

from shared.base.cache import TtlCache
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.keys import ApiKey
from shared.model.words import KeyKind
from shared.store.catalog_items import Page, Stored, key_of, tenant_pk, unchanged
from shared.store.catalog_table import CatalogTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KEY_CACHE_SECONDS = 30


class KeyStore(CatalogTable):
    """Reads and writes keys. A key is kept twice: by its id for the authorizer, by its tenant for listing."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        super().__init__(client, table, clock, cache_seconds)
        self._keys: TtlCache[ApiKey] = TtlCache(clock, min(KEY_CACHE_SECONDS, 3 * cache_seconds), 2000, self._miss)

    def key(self, key_id: str) -> ApiKey | None:
        """A key by its id alone, at most 30 seconds old."""
        return self._keys.get(key_id, lambda: self._value(ApiKey, f"key#{key_id}", "key"), self._fresh)

    def team(self, key_id: str, kind: KeyKind) -> frozenset[str] | None:
        """Whom a team key reaches, as `channel:address`; None for keys of other kinds, which have no list."""
        if kind is not KeyKind.TEAM:
            return None
        key = self.key(key_id)
        return frozenset(key.recipients if key is not None else ())

    def ended_maker(self, key: ApiKey, now_ms: int) -> str | None:
        """The first of the keys that a key descends from that has ended, at most 30 seconds old; None if all work.

        No key is ever forgotten whole, so one that is not there was taken away by hand, and has ended.
        """
        for id in key.lineage:
            maker = self.key(id)
            if maker is None or maker.ended(now_ms):
                return id
        return None

    def person(self, key_id: str) -> str:
        """Whose key it is, see `ApiKey.person`. What is no key, such as `schedule`, stands for itself."""
        key = self.fresh.key(key_id)
        return key_id if key is None else key.person

    def load_key(self, tenant: str, key_id: str) -> Stored[ApiKey] | None:
        """A key as it is now."""
        return self._load(ApiKey, tenant_pk(tenant), f"key#{key_id}")

    def create_key(self, key: ApiKey, record: AuditRecord) -> None:
        """Save a new key. Raises: CatalogConflictError if the id is taken."""
        self._save_key(key, None, record)

    def update_key(self, key: ApiKey, rev: int, record: AuditRecord) -> None:
        """Replace revision `rev` of a key. Raises: CatalogConflictError if it has changed."""
        self._save_key(key, rev, record)

    def page_keys(self, tenant: str, limit: int, cursor: str | None = None) -> Page[ApiKey]:
        """A page of at most `limit` keys by id, revoked ones too. Raises: CursorError."""
        return self._page(ApiKey, tenant_pk(tenant), "key#", limit, cursor)

    def delete_key(self, key: ApiKey, rev: int, record: AuditRecord) -> None:
        """Take revision `rev` of a revoked key from the list.

        What stays is what says whose it was and that it has ended, for the keys that descend from it and for reviews.
        Raises: CatalogConflictError if it has changed.
        """
        gone = key_of(tenant_pk(key.tenant), f"key#{key.id}")
        self._change(
            record,
            self._put(f"key#{key.id}", "key", key.model_copy(update={"recipients": []}), rev),
            {"Delete": {"TableName": self._table, "Key": gone, **unchanged(rev)}},
        )
        self._keys.drop(key.id)

    def _save_key(self, key: ApiKey, over: int | None, record: AuditRecord) -> None:
        self._change(
            record,
            self._put(f"key#{key.id}", "key", key, over),
            self._put(tenant_pk(key.tenant), f"key#{key.id}", key, over),
        )
        self._keys.drop(key.id)
