"""The operations on templates. A version is checked whole when it is saved, so that sending finds no surprise."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from functions.manage.deps import ManageDeps
from functions.manage.fallback import check_fallback, check_unused
from functions.manage.reviews import check_approved
from functions.manage.template_checks import (
    channel_of,
    check_accounts,
    check_content,
    check_fit,
    check_policies,
    check_topic,
    check_tracking,
    check_words,
    problems_of,
    render_checked,
)
from functions.manage.template_views import (
    archived,
    load_template,
    load_version,
    template_summary,
    template_view,
    too_large,
    version_view,
)
from functions.manage.until import check_until
from shared.api.audit import Auditor
from shared.api.fields import MAX_VERSIONS
from shared.api.kit import Call, OperationFunction
from shared.api.manage import (
    Preview,
    PreviewRequest,
    TemplateCopy,
    TemplateCreate,
    TemplateList,
    TemplateUpdate,
    TemplateView,
    VersionCreate,
    VersionView,
)
from shared.api.paging import PageQuery
from shared.errors import ConflictError, invalid_field, not_found
from shared.model.accounts import Account
from shared.model.audit import AuditRecord
from shared.model.templates import Review, Template, TemplateVersion
from shared.model.words import Channel
from shared.rendering.render import Analysis, as_json
from shared.store.catalog_items import CatalogConflictError, CatalogTooLargeError, CursorError, Stored

_ATTEMPTS = 5
T = TypeVar("T")


def template_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on templates, by id."""
    templates = Templates(deps)
    return {
        "create_template": templates.create,
        "list_templates": templates.page,
        "get_template": templates.get,
        "update_template": templates.update,
        "create_version": templates.add_version,
        "get_version": templates.version,
        "preview_version": templates.preview,
        "publish_version": templates.publish,
        "copy_template": templates.copy,
        "archive_template": templates.archive,
    }


class Templates:
    """The operations. Changes made by others in the same moment are read and built upon, some times over."""

    def __init__(self, deps: ManageDeps) -> None:
        self._catalog = deps.catalog
        self._now = deps.clock.now_ms
        self._auditor = Auditor(deps.catalog, deps.clock)

    def create(self, call: Call) -> TemplateView:
        """Save a template and its first version, or neither. Raises: ConflictError, InvalidError."""
        body: TemplateCreate = call.body
        tenant, channel, now = call.caller.tenant, channel_of(body.content), self._now()
        accounts = self._accounts(tenant, body.accounts, channel)
        analysis = check_content(body.content, body.message_class, body.sample, accounts, new=True)
        check_words(body.content, body.sample, self._catalog.settings(tenant).blocked_words)
        template = Template(
            id=body.id,
            tenant=tenant,
            name=body.name,
            channel=channel,
            message_class=body.message_class,
            accounts=body.accounts,
            latest=1,
            ttl_seconds=body.ttl_seconds,
            policies=body.policies,
            fallback=body.fallback,
            topic=body.topic,
            tracking=body.tracking,
            created_at=now,
            updated_at=now,
        )
        check_policies(template)
        check_tracking(template, body.content)
        check_topic(template, self._catalog)
        check_until(template, body.content, accounts)
        first = _version(call, body.id, 1, body, analysis, now)
        check_fallback(self._catalog, template, first)
        return self._save_new(call, template, first)

    def page(self, call: Call) -> TemplateList:
        """A page of templates by id. Raises: InvalidError."""
        query: PageQuery = call.query
        try:
            page = self._catalog.list_templates(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        return TemplateList(templates=[template_summary(template) for template in page.items], cursor=page.cursor)

    def get(self, call: Call) -> TemplateView:
        """A template with its current version. Raises: NotFoundError."""
        return self._view(load_template(self._catalog, call).value)

    def update(self, call: Call) -> TemplateView:
        """Change what a template has beside its content; null takes time to live, policies, fallback and topic away.

        Raises: NotFoundError, ConflictError, InvalidError.
        """
        body: TemplateUpdate = call.body
        changes: dict[str, Any] = body.model_dump(exclude_none=True)
        for name in ("ttl_seconds", "policies", "fallback", "topic"):
            if name in body.model_fields_set:
                changes[name] = getattr(body, name)

        def change(head: Stored[Template]) -> TemplateView:
            current = self._current(head.value)
            if body.accounts is not None:
                accounts = self._accounts(head.value.tenant, body.accounts, head.value.channel)
                check_fit(current, head.value.message_class, accounts)
            template = head.value.model_copy(update={**changes, "updated_at": self._now()})
            check_policies(template)
            check_tracking(template, current.content)
            if body.topic is not None:
                check_topic(template, self._catalog)
            if body.fallback is not None:
                check_fallback(self._catalog, template, current)
            if body.fallback is not None or body.accounts is not None:
                check_until(
                    template, current.content, self._accounts(template.tenant, template.accounts, template.channel)
                )
            self._catalog.update_template(template, head.rev, self._record(call, head.value, template))
            return template_view(template, current)

        return self._change(call, change)

    def add_version(self, call: Call) -> VersionView:
        """Save a new version. Raises: NotFoundError, ConflictError, InvalidError."""
        body: VersionCreate = call.body

        def change(head: Stored[Template]) -> VersionView:
            template = head.value
            if channel_of(body.content) is not template.channel:
                message = f"the template is for {template.channel}; give content of that channel"
                raise invalid_field("content.type", message)
            if template.archived:
                raise archived()
            if template.latest >= MAX_VERSIONS:
                raise ConflictError("The template has too many versions; copy it and go on there.")
            accounts = self._accounts(template.tenant, template.accounts, template.channel)
            analysis = check_content(body.content, template.message_class, body.sample, accounts, new=False)
            check_words(body.content, body.sample, self._catalog.settings(template.tenant).blocked_words)
            check_tracking(template, body.content)
            version = _version(call, template.id, template.latest + 1, body, analysis, self._now())
            view = version_view(version)
            record = self._auditor.record(call, f"template/{template.id}/{version.version}", None, view)
            self._catalog.add_version(head, version, record)
            return view

        return self._change(call, change)

    def version(self, call: Call) -> VersionView:
        """One version. Raises: NotFoundError, InvalidError."""
        load_template(self._catalog, call)
        return version_view(load_version(self._catalog, call).value)

    def preview(self, call: Call) -> Preview:
        """Render a version, and say what each account's provider would refuse. Raises: NotFoundError, InvalidError."""
        body: PreviewRequest = call.body
        head, version = load_template(self._catalog, call).value, load_version(self._catalog, call).value
        analysis = Analysis(version.required, version.optional, version.loops)
        variables = version.sample if body.variables is None else body.variables
        rendered = render_checked(version.content, analysis, variables)
        found = self._existing(head.tenant, head.accounts)
        problems = {
            account_id: problems_of(version.content, head.message_class, rendered, found[account_id])
            if account_id in found
            else ["the account does not exist any more"]
            for account_id in head.accounts
        }
        return Preview(rendered=as_json(rendered), problems=problems)

    def publish(self, call: Call) -> TemplateView:
        """Make a version the one that is sent, if the template's accounts can carry it. It may be pinned from now on.

        It must fit the templates to which this one falls back, and those that fall back to it. Where the settings
        require a review, it must have been approved.
        Raises: NotFoundError, ConflictError, InvalidError.
        """

        def change(head: Stored[Template]) -> TemplateView:
            before = head.value
            if before.archived:
                raise archived()
            version, settings = load_version(self._catalog, call), self._catalog.load_settings(before.tenant)
            if settings is not None and settings.value.review_required:
                check_approved(version.value)
            # Since it was saved, the template may have got other accounts.
            accounts = self._accounts(before.tenant, before.accounts, before.channel)
            check_fit(version.value, before.message_class, accounts)
            template = before.model_copy(update={"published": version.value.version, "updated_at": self._now()})
            check_fallback(self._catalog, template, version.value)
            check_until(template, version.value.content, accounts)
            record = self._record(call, before, template)
            self._catalog.publish_version(Stored(template, head.rev), version, settings, record)
            return self._view(template)

        return self._change(call, change)

    def copy(self, call: Call) -> TemplateView:
        """Copy the current version to a new template, unpublished.

        Raises: NotFoundError, ConflictError, InvalidError.
        """
        body: TemplateCopy = call.body
        source = load_template(self._catalog, call).value
        current, now = self._current(source), self._now()
        # An archived template keeps no account from being deleted.
        accounts = self._accounts(source.tenant, source.accounts, source.channel)
        check_fit(current, source.message_class, accounts)
        template = source.model_copy(
            update={
                "id": body.id,
                "name": body.name or source.name,
                "latest": 1,
                "published": None,
                "archived": False,
                "created_at": now,
                "updated_at": now,
            }
        )
        first = current.model_copy(
            update={
                "template": body.id,
                "version": 1,
                "created_at": now,
                "author": call.caller.key_id,
                "review": Review(),
                "published_at": None,
            }
        )
        check_fallback(self._catalog, template, first)
        return self._save_new(call, template, first)

    def archive(self, call: Call) -> TemplateView:
        """Stop a template being sent for good; what is queued still goes. Raises: NotFoundError, ConflictError."""

        def change(head: Stored[Template]) -> TemplateView:
            template = head.value
            if not template.archived:
                check_unused(self._catalog, template)
                template = template.model_copy(update={"archived": True, "updated_at": self._now()})
                self._catalog.update_template(template, head.rev, self._record(call, head.value, template))
            return self._view(template)

        return self._change(call, change)

    def _change(self, call: Call, change: Callable[[Stored[Template]], T]) -> T:
        """Apply a change to a template as it is now, again if another came first.

        Raises: NotFoundError, ConflictError.
        """
        for _ in range(_ATTEMPTS):
            head = load_template(self._catalog, call)
            try:
                return change(head)
            except CatalogConflictError:
                continue
            except CatalogTooLargeError:
                raise too_large() from None
        raise ConflictError("Others are changing this template; look at it and try again.")

    def _save_new(self, call: Call, template: Template, first: TemplateVersion) -> TemplateView:
        view = template_view(template, first)
        try:
            record = self._auditor.record(call, f"template/{template.id}", None, view)
            self._catalog.create_template(template, first, record)
        except CatalogConflictError:
            raise ConflictError(f"There is a template `{template.id}` already; choose another id.") from None
        except CatalogTooLargeError:
            raise too_large() from None
        return view

    def _record(self, call: Call, before: Template, after: Template) -> AuditRecord:
        target = f"template/{after.id}"
        return self._auditor.record(call, target, template_summary(before), template_summary(after))

    def _current(self, template: Template) -> TemplateVersion:
        number = template.published or template.latest
        found = self._catalog.load_version(template.tenant, template.id, number)
        if found is None:
            raise not_found("version")
        return found.value

    def _view(self, template: Template) -> TemplateView:
        return template_view(template, self._current(template))

    def _accounts(self, tenant: str, ids: Sequence[str], channel: Channel) -> list[Account]:
        return check_accounts(ids, self._existing(tenant, ids), channel)

    def _existing(self, tenant: str, ids: Sequence[str]) -> dict[str, Account]:
        stored = ((account_id, self._catalog.load_account(tenant, account_id)) for account_id in ids)
        return {account_id: found.value for account_id, found in stored if found is not None}


def _version(call: Call, template: str, number: int, body: VersionCreate, found: Analysis, now: int) -> TemplateVersion:
    return TemplateVersion(
        template=template,
        version=number,
        content=body.content,
        required=found.required,
        optional=found.optional,
        loops=found.loops,
        sample=body.sample,
        note=body.note,
        author=call.caller.key_id,
        created_at=now,
    )
