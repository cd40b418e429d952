"""The catalog: tenants, accounts, templates with their versions, and API keys.

Two ways in. `tenant`, `template`, `version`, `account` and `key` serve the hot paths from the process's memory and may
be some seconds old; `fresh` has them read what is stored now. The rest is for management: it reads what was written
last, and every write is guarded by the revision it replaces, and takes the audit log's record of the change with it, in
one transaction. Documents handed out may be shared by threads: change copies only.
"""

import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from shared.base.cache import FOREVER, TtlCache
from shared.model.accounts import Account
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.keys import ApiKey
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Deployment, Tenant, TenantName, TenantSettings
from shared.model.words import KeyKind
from shared.store.audit import audit_put
from shared.store.catalog_items import (
    MAX_SORT_KEY_BYTES,
    CatalogConflictError,
    CatalogInUseError,
    Page,
    Stored,
    conflicts,
    from_cursor,
    item_of,
    key_of,
    put_of,
    read_item,
    settings_sk,
    tenant_pk,
    to_cursor,
    unchanged,
    version_sk,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

M = TypeVar("M", bound=BaseModel)
KEY_CACHE_SECONDS = 30
TENANTS_PK = "tenants"
"""The partition that names every tenant, so that they can be listed without reading the whole table."""
SALT_BYTES = 32
MAX_TOGETHER = 98
"""Records that go into a transaction with a change and its own (100 items: DynamoDB developer guide, "Quotas")."""


class Catalog:
    """Reads and writes the catalog table; thread-safe.

    cache_seconds: how old what the hot paths read may be. Published versions never change and are kept for good, keys
    for 30 seconds, and that something does not exist for at most one.
    """

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        miss = min(1.0, cache_seconds)
        self._tenants: TtlCache[Tenant] = TtlCache(clock, cache_seconds, 500, miss)
        self._accounts: TtlCache[Account] = TtlCache(clock, cache_seconds, 1000, miss)
        self._templates: TtlCache[Template] = TtlCache(clock, cache_seconds, 2000, miss)
        # A version may take 380 KB, so fewer of these are kept.
        self._versions: TtlCache[TemplateVersion] = TtlCache(
            clock, lambda version: FOREVER if version.published_at is not None else cache_seconds, 200, miss
        )
        self._settings: TtlCache[TenantSettings] = TtlCache(clock, cache_seconds, 500, miss)
        self._keys: TtlCache[ApiKey] = TtlCache(clock, min(KEY_CACHE_SECONDS, 3 * cache_seconds), 2000, miss)

    # Hot paths

    def tenant(self, tenant_id: str) -> Tenant | None:
        """A tenant, at most `cache_seconds` old."""
        return self._tenants.get(tenant_id, lambda: self._value(Tenant, tenant_pk(tenant_id), "tenant"))

    def settings(self, tenant: str, fresh: bool = False) -> TenantSettings:
        """A tenant's settings, at most `cache_seconds` old."""
        pk = tenant_pk(tenant)

        def load() -> TenantSettings:
            # Where nobody has changed them there is nothing to read, and that too is worth remembering.
            return self._value(TenantSettings, pk, "settings", fresh) or TenantSettings()

        return self._settings.get(pk, load, fresh) or TenantSettings()

    def account(self, tenant: str, account_id: str) -> Account | None:
        """An account, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"account#{account_id}"
        return self._accounts.get(f"{pk}#{sk}", lambda: self._value(Account, pk, sk))

    def template(self, tenant: str, template_id: str, fresh: bool = False) -> Template | None:
        """A template, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"template#{template_id}"
        return self._templates.get(f"{pk}#{sk}", lambda: self._value(Template, pk, sk, fresh), fresh)

    def version(self, tenant: str, template_id: str, version: int, fresh: bool = False) -> TemplateVersion | None:
        """A version of a template; one that is not published yet is at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), version_sk(template_id, version)
        return self._versions.get(f"{pk}#{sk}", lambda: self._value(TemplateVersion, pk, sk, fresh), fresh)

    def key(self, key_id: str, fresh: bool = False) -> ApiKey | None:
        """A key by its id alone, at most 30 seconds old."""
        return self._keys.get(key_id, lambda: self._value(ApiKey, f"key#{key_id}", "key", fresh), fresh)

    def team(self, key_id: str, kind: KeyKind, fresh: bool = False) -> frozenset[str] | None:
        """Whom a team key reaches, as `channel:address`; None for keys of other kinds, which have no list."""
        if kind is not KeyKind.TEAM:
            return None
        key = self.key(key_id, fresh)
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
        key = self.key(key_id, fresh=True)
        return key_id if key is None else key.person

    # Management: tenants

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

    # Management: accounts

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

    # Management: templates

    def load_template(self, tenant: str, template_id: str) -> Stored[Template] | None:
        """A template as it is now."""
        return self._load(Template, tenant_pk(tenant), f"template#{template_id}")

    def load_version(self, tenant: str, template_id: str, version: int) -> Stored[TemplateVersion] | None:
        """A version as it is now."""
        return self._load(TemplateVersion, tenant_pk(tenant), version_sk(template_id, version))

    def list_templates(self, tenant: str, limit: int, cursor: str | None = None) -> Page[Template]:
        """A page of at most `limit` templates by id. Raises: CursorError."""
        return self._page(Template, tenant_pk(tenant), "template#", limit, cursor)

    def falling_back_to(self, tenant: str, template_id: str) -> list[Template]:
        """The templates that fall back to one, but for those that are archived."""
        found = (stored.value for stored in self._all(Template, tenant_pk(tenant), "template#"))
        return [t for t in found if t.fallback and t.fallback.template == template_id and not t.archived]

    def create_template(self, template: Template, first: TemplateVersion, record: AuditRecord) -> None:
        """Save a template and its first version, or neither.

        Raises: CatalogConflictError if the id is taken; CatalogTooLargeError; ValueError if `first` is not its first.
        """
        if (first.template, first.version, template.latest) != (template.id, 1, 1):
            raise ValueError("not the first version of this template")
        self._change(record, self._put_template(template, None), self._put_version(template, first, None))
        self._forget_template(template, first)

    def update_template(self, template: Template, rev: int, record: AuditRecord) -> None:
        """Replace revision `rev` of a template. Raises: CatalogConflictError if it has changed."""
        self._change(record, self._put_template(template, rev))
        self._forget_template(template)

    def add_version(self, head: Stored[Template], version: TemplateVersion, record: AuditRecord) -> Template:
        """Save a template's next version, and return the template that names it as its latest.

        Raises: CatalogConflictError if the template has changed since; CatalogTooLargeError; ValueError if `version`
        is not the one after the latest.
        """
        if (version.template, version.version) != (head.value.id, head.value.latest + 1):
            raise ValueError("not the next version of this template")
        template = head.value.model_copy(update={"latest": version.version, "updated_at": self._clock.now_ms()})
        self._change(record, self._put_template(template, head.rev), self._put_version(template, version, None))
        self._forget_template(template, version)
        return template

    def publish_version(
        self,
        head: Stored[Template],
        version: Stored[TemplateVersion],
        settings: Stored[TenantSettings] | None,
        record: AuditRecord,
    ) -> None:
        """Save a template that names a version as the one that is sent. head: the template to save, over its revision.

        A version that was published before keeps the time of its first publication.
        Raises: CatalogConflictError if the template, the version or the tenant's settings have changed meanwhile, so
        that what they allowed at once is still so.
        """
        template, found = head.value, version.value
        items = [self._put_template(template, head.rev), self._settings_are(template.tenant, settings)]
        if found.published_at is None:
            published = found.model_copy(update={"published_at": template.updated_at})
            items.append(self._put_version(template, published, version.rev))
        self._change(record, *items)
        self._forget_template(template, found)

    def update_review(self, template: Template, version: Stored[TemplateVersion], record: AuditRecord) -> None:
        """Save a version with another review, over its revision. Raises: CatalogConflictError if it has changed."""
        self._change(record, self._put_version(template, version.value, version.rev))
        self._forget_template(template, version.value)

    def _put_template(self, template: Template, over: int | None) -> Any:
        return self._put(tenant_pk(template.tenant), f"template#{template.id}", template, over)

    def _put_version(self, template: Template, version: TemplateVersion, over: int | None) -> Any:
        return self._put(tenant_pk(template.tenant), version_sk(template.id, version.version), version, over)

    def _forget_template(self, template: Template, version: TemplateVersion | None = None) -> None:
        pk = tenant_pk(template.tenant)
        self._templates.drop(f"{pk}#template#{template.id}")
        if version is not None:
            self._versions.drop(f"{pk}#{version_sk(template.id, version.version)}")

    # Management: settings. The current version twice: as what counts, and among all versions.

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

    def _settings_are(self, tenant: str, settings: Stored[TenantSettings] | None) -> Any:
        condition = unchanged(None if settings is None else settings.rev)
        return {"ConditionCheck": {"TableName": self._table, "Key": key_of(tenant_pk(tenant), "settings"), **condition}}

    # Management: what belongs to all tenants

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

    # Management: keys. The same item twice: by its id for the authorizer, by its tenant for listing.

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

    # The table

    def _value(self, model: type[M], pk: str, sk: str, fresh: bool = False) -> M | None:
        found = self._load(model, pk, sk, consistent=fresh)
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
