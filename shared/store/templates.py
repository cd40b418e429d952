"""Templates and their versions."""

from typing import TYPE_CHECKING, Any

from shared.base.cache import FOREVER, TtlCache
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import TenantSettings
from shared.store.catalog_items import Page, Stored, key_of, tenant_pk, unchanged, version_sk
from shared.store.catalog_table import CatalogTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class TemplateStore(CatalogTable):
    """Reads and writes templates and versions. Published versions never change, and are remembered for good."""

    def __init__(self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 10) -> None:
        super().__init__(client, table, clock, cache_seconds)
        self._templates: TtlCache[Template] = TtlCache(clock, cache_seconds, 2000, self._miss)
        # A version may take 380 KB, so fewer of these are kept.
        self._versions: TtlCache[TemplateVersion] = TtlCache(
            clock, lambda version: FOREVER if version.published_at is not None else cache_seconds, 200, self._miss
        )

    def template(self, tenant: str, template_id: str) -> Template | None:
        """A template, at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), f"template#{template_id}"
        return self._templates.get(f"{pk}#{sk}", lambda: self._value(Template, pk, sk), self._fresh)

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None:
        """A version of a template; one that is not published yet is at most `cache_seconds` old."""
        pk, sk = tenant_pk(tenant), version_sk(template_id, version)
        return self._versions.get(f"{pk}#{sk}", lambda: self._value(TemplateVersion, pk, sk), self._fresh)

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

    def _settings_are(self, tenant: str, settings: Stored[TenantSettings] | None) -> Any:
        condition = unchanged(None if settings is None else settings.rev)
        return {"ConditionCheck": {"TableName": self._table, "Key": key_of(tenant_pk(tenant), "settings"), **condition}}

    def _forget_template(self, template: Template, version: TemplateVersion | None = None) -> None:
        pk = tenant_pk(template.tenant)
        self._templates.drop(f"{pk}#template#{template.id}")
        if version is not None:
            self._versions.drop(f"{pk}#{version_sk(template.id, version.version)}")
