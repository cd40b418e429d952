"""The catalog: tenants, accounts, templates with their versions, and API keys.

Two ways in. `tenant`, `template`, `version`, `account` and `key` serve the hot paths from the process's memory and may
be some seconds old. The rest is for management: it reads what was written last, and every write is guarded by the
revision it replaces. Documents handed out may be shared by threads: change copies only.
"""

import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from shared.cache import FOREVER, TtlCache
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.keys import ApiKey
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant
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
    tenant_pk,
    to_cursor,
    version_sk,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

M = TypeVar("M", bound=BaseModel)
KEY_CACHE_SECONDS = 30
SALT_BYTES = 32


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
        self._keys: TtlCache[ApiKey] = TtlCache(clock, min(KEY_CACHE_SECONDS, 3 * cache_seconds), 2000, miss)

    # Hot paths

    def tenant(self, tenant_id: str) -> Tenant | None:
        """A tenant, at most `cache_seconds` old."""
        return self._tenants.get(tenant_id, lambda: self._value(Tenant, tenant_pk(tenant_id), "tenant"))

    def account(self, tenant: str, account_id: str) -> Account | None:
        """An account, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"account#{account_id}"
        return self._accounts.get(f"{pk}#{sk}", lambda: self._value(Account, pk, sk))

    def template(self, tenant: str, template_id: str) -> Template | None:
        """A template, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"template#{template_id}"
        return self._templates.get(f"{pk}#{sk}", lambda: self._value(Template, pk, sk))

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None:
        """A version of a template; one that is not published yet is at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), version_sk(template_id, version)
        return self._versions.get(f"{pk}#{sk}", lambda: self._value(TemplateVersion, pk, sk))

    def key(self, key_id: str) -> ApiKey | None:
        """A key by its id alone, at most 30 seconds old."""
        return self._keys.get(key_id, lambda: self._value(ApiKey, f"key#{key_id}", "key"))

    # Management: tenants

    def ensure_tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant, made with a salt of its own if there is none; callers at the same time get the same one."""
        pk = tenant_pk(tenant_id)
        found = self._load(Tenant, pk, "tenant")
        if found is None:
            salt = b64encode(secrets.token_bytes(SALT_BYTES))
            # A conflict: another made it in this moment, and its salt is the one that counts.
            with suppress(CatalogConflictError):
                self._put(pk, "tenant", Tenant(id=tenant_id, salt=salt, created_at=self._clock.now_ms()), None)
            self._tenants.drop(tenant_id)
            found = self._load(Tenant, pk, "tenant")
        if found is None:
            raise CatalogConflictError("the tenant vanished while it was made")
        return found.value

    # Management: accounts

    def load_account(self, tenant: str, account_id: str) -> Stored[Account] | None:
        """An account as it is now."""
        return self._load(Account, tenant_pk(tenant), f"account#{account_id}")

    def create_account(self, account: Account) -> None:
        """Save a new account. Raises: CatalogConflictError if the id is taken."""
        self._put(tenant_pk(account.tenant), f"account#{account.id}", account, None)
        self._forget_account(account.tenant, account.id)

    def update_account(self, account: Account, rev: int) -> None:
        """Replace revision `rev` of an account. Raises: CatalogConflictError if it has changed or is gone."""
        self._put(tenant_pk(account.tenant), f"account#{account.id}", account, rev)
        self._forget_account(account.tenant, account.id)

    def list_accounts(self, tenant: str) -> list[Account]:
        """All accounts by id."""
        return [stored.value for stored in self._all(Account, tenant_pk(tenant), "account#")]

    def delete_account(self, tenant: str, account_id: str) -> bool:
        """Delete an account; False if there is none.

        The look at the templates and the deletion are not one step: a template saved between them names an account
        that is gone, until either is mended.
        Raises: CatalogInUseError if a template that is not archived names it.
        """
        users = [
            stored.value.id
            for stored in self._all(Template, tenant_pk(tenant), "template#")
            if account_id in stored.value.accounts and not stored.value.archived
        ]
        if users:
            raise CatalogInUseError(users[:10])
        gone = self._client.delete_item(
            TableName=self._table,
            Key=key_of(tenant_pk(tenant), f"account#{account_id}"),
            ReturnValues="ALL_OLD",
        )
        self._forget_account(tenant, account_id)
        return bool(gone.get("Attributes"))

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

    def create_template(self, template: Template, first: TemplateVersion) -> None:
        """Save a template and its first version, or neither.

        Raises: CatalogConflictError if the id is taken; CatalogTooLargeError; ValueError if `first` is not its first.
        """
        if (first.template, first.version, template.latest) != (template.id, 1, 1):
            raise ValueError("not the first version of this template")
        self._put_both(template, None, first, None)

    def update_template(self, template: Template, rev: int) -> None:
        """Replace revision `rev` of a template. Raises: CatalogConflictError if it has changed."""
        self._put(tenant_pk(template.tenant), f"template#{template.id}", template, rev)
        self._forget_template(template)

    def add_version(self, head: Stored[Template], version: TemplateVersion) -> Template:
        """Save a template's next version, and return the template that names it as its latest.

        Raises: CatalogConflictError if the template has changed since; CatalogTooLargeError; ValueError if `version`
        is not the one after the latest.
        """
        if (version.template, version.version) != (head.value.id, head.value.latest + 1):
            raise ValueError("not the next version of this template")
        template = head.value.model_copy(update={"latest": version.version, "updated_at": self._clock.now_ms()})
        self._put_both(template, head.rev, version, None)
        return template

    def publish_version(self, head: Stored[Template], version: int) -> Template | None:
        """Make a version the one that is sent, and return the template; None if there is no such version.

        A version that was published before keeps the time of its first publication.
        Raises: CatalogConflictError if the template or the version has changed meanwhile.
        """
        found = self.load_version(head.value.tenant, head.value.id, version)
        if found is None:
            return None
        now = self._clock.now_ms()
        template = head.value.model_copy(update={"published": version, "updated_at": now})
        if found.value.published_at is None:
            published = found.value.model_copy(update={"published_at": now})
            self._put_both(template, head.rev, published, found.rev)
        else:
            self.update_template(template, head.rev)
        return template

    def _put_both(
        self, template: Template, over: int | None, version: TemplateVersion, version_over: int | None
    ) -> None:
        pk = tenant_pk(template.tenant)
        sk = version_sk(template.id, version.version)
        self._transact(
            (pk, f"template#{template.id}", template, over),
            (pk, sk, version, version_over),
        )
        self._forget_template(template)
        self._versions.drop(f"{pk}#{sk}")

    def _forget_template(self, template: Template) -> None:
        self._templates.drop(f"{tenant_pk(template.tenant)}#template#{template.id}")

    # Management: keys. The same item twice: by its id for the authorizer, by its tenant for listing.

    def create_key(self, key: ApiKey) -> None:
        """Save a new key. Raises: CatalogConflictError if the id is taken."""
        self._put_key(key, None)

    def list_keys(self, tenant: str) -> list[ApiKey]:
        """All keys, revoked ones too, by id."""
        return [stored.value for stored in self._all(ApiKey, tenant_pk(tenant), "key#")]

    def revoke_key(self, tenant: str, key_id: str) -> bool:
        """Revoke a key from now on; False if the tenant has none of that id. Doing it again changes nothing.

        Raises: CatalogConflictError if the key is being changed by another in this moment.
        """
        found = self._load(ApiKey, tenant_pk(tenant), f"key#{key_id}")
        if found is None:
            return False
        if found.value.revoked_at is None:
            self._put_key(found.value.model_copy(update={"revoked_at": self._clock.now_ms()}), found.rev)
        return True

    def _put_key(self, key: ApiKey, over: int | None) -> None:
        self._transact(
            (f"key#{key.id}", "key", key, over),
            (tenant_pk(key.tenant), f"key#{key.id}", key, over),
        )
        self._keys.drop(key.id)

    # The table

    def _value(self, model: type[M], pk: str, sk: str) -> M | None:
        found = self._load(model, pk, sk, consistent=False)
        return None if found is None else found.value

    def _load(self, model: type[M], pk: str, sk: str, consistent: bool = True) -> Stored[M] | None:
        # A longer key cannot exist, and DynamoDB refuses to look for it.
        if len(sk.encode(errors="replace")) > MAX_SORT_KEY_BYTES or len(pk.encode(errors="replace")) > 2048:
            return None
        got = self._client.get_item(TableName=self._table, Key=key_of(pk, sk), ConsistentRead=consistent)
        item = got.get("Item")
        return None if item is None else read_item(model, item)

    def _put(self, pk: str, sk: str, value: BaseModel, over: int | None) -> None:
        item = item_of(pk, sk, value, (over or 0) + 1)
        with conflicts():
            self._client.put_item(**put_of(self._table, item, over))

    def _transact(self, *writes: tuple[str, str, BaseModel, int | None]) -> None:
        puts: list[Any] = [
            {"Put": put_of(self._table, item_of(pk, sk, value, (over or 0) + 1), over)}
            for pk, sk, value, over in writes
        ]
        with conflicts():
            self._client.transact_write_items(TransactItems=puts)

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
