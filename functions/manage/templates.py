"""The operations on templates. A version is checked whole when it is saved, so that sending finds no surprise."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from functions.manage.deps import ManageDeps
from shared.api.kit import Call, OperationFunction
from shared.api.manage import (
    Preview,
    PreviewRequest,
    TemplateCopy,
    TemplateCreate,
    TemplateList,
    TemplateSummary,
    TemplateUpdate,
    TemplateView,
    VersionCreate,
    VersionView,
)
from shared.api.messages import PageQuery
from shared.model.accounts import Account
from shared.model.content import CHANNEL_OF_TYPE, Content, Rendered
from shared.model.problems import FieldError, conflict, invalid, invalid_field, not_found
from shared.model.templates import Template, TemplateVersion
from shared.model.variables import check_variables
from shared.model.words import Channel
from shared.policy import limits
from shared.rendering import Analysis, RenderingError, TemplateError, analyse, as_json, compile_content
from shared.store.catalog_items import CatalogConflictError, CatalogTooLargeError, CursorError, Stored

MAX_VERSIONS = 999_999
Accounts = list[Account]


def template_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on templates, by id."""
    templates = Templates(deps)
    return {
        "create_template": templates.create,
        "list_templates": templates.list,
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
    """The operations."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps

    def create(self, call: Call) -> TemplateView:
        """Save a template and its first version. Raises: ProblemError 409, 422."""
        body: TemplateCreate = call.body
        tenant, now = call.caller.tenant, self._deps.clock.now_ms()
        channel = CHANNEL_OF_TYPE[body.content.type]
        accounts = self._accounts(tenant, body.accounts, channel)
        found = _check(body, accounts)
        template = Template(
            id=body.id,
            tenant=tenant,
            name=body.name,
            channel=channel,
            message_class=body.message_class,
            accounts=body.accounts,
            latest=1,
            ttl_seconds=body.ttl_seconds,
            created_at=now,
            updated_at=now,
        )
        version = _version(body.id, 1, body, found, now)
        with _saving(f"There is a template `{body.id}` already."):
            self._deps.catalog.create_template(template, version)
        return _view(template, version)

    def list(self, call: Call) -> TemplateList:
        """A page of templates by id. Raises: ProblemError 422."""
        query: PageQuery = call.query
        try:
            page = self._deps.catalog.list_templates(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        summaries = [TemplateSummary.model_validate(_common(t)) for t in page.items]
        return TemplateList(templates=summaries, cursor=page.cursor)

    def get(self, call: Call) -> TemplateView:
        """A template with its current version. Raises: ProblemError 404."""
        return self._current(self._load(call).value)

    def update(self, call: Call) -> TemplateView:
        """Change a template's name, accounts or time to live. Raises: ProblemError 404, 409, 422."""
        body: TemplateUpdate = call.body
        head = self._load(call)
        changes: dict[str, Any] = body.model_dump(exclude_none=True)
        if body.accounts is not None:
            accounts = self._accounts(call.caller.tenant, body.accounts, head.value.channel)
            current = self._current_version(head.value)
            errors = _account_errors(current.content, accounts)
            if errors:
                raise invalid(errors, "An account cannot carry the template's content.")
        template = head.value.model_copy(update={**changes, "updated_at": self._deps.clock.now_ms()})
        with _saving():
            self._deps.catalog.update_template(template, head.rev)
        return self._current(template)

    def add_version(self, call: Call) -> VersionView:
        """Save a new version. Raises: ProblemError 404, 409, 422."""
        body: VersionCreate = call.body
        head = self._load(call)
        template = head.value
        if CHANNEL_OF_TYPE[body.content.type] is not template.channel:
            raise invalid_field("content.type", f"the template is for {template.channel}; give content of that channel")
        if template.latest >= MAX_VERSIONS:
            raise conflict("The template has too many versions; copy it and go on there.")
        found = _check(body, self._accounts(call.caller.tenant, template.accounts, template.channel))
        version = _version(template.id, template.latest + 1, body, found, self._deps.clock.now_ms())
        with _saving():
            self._deps.catalog.add_version(head, version)
        return _version_view(version)

    def version(self, call: Call) -> VersionView:
        """One version. Raises: ProblemError 404, 422."""
        return _version_view(self._version(call))

    def preview(self, call: Call) -> Preview:
        """Render a version. Raises: ProblemError 404, 422 naming the variable."""
        body: PreviewRequest = call.body
        version = self._version(call)
        variables = version.sample if body.variables is None else body.variables
        found = Analysis(version.required, version.optional, version.loops)
        rendered = _render(version.content, found, variables, "variables")
        head = self._load(call).value
        problems = {}
        for account_id in head.accounts:
            account = self._deps.catalog.account(call.caller.tenant, account_id)
            if account is not None:
                unusable = limits.usable_by(version.content, account.provider)
                issues = limits.check(rendered, account.provider) if unusable is None else [("content", unusable)]
                problems[account_id] = [f"{field}: {message}" for field, message in issues]
        return Preview(rendered=as_json(rendered), problems=problems)

    def publish(self, call: Call) -> TemplateView:
        """Make a version the one that is sent. Raises: ProblemError 404, 409, 422."""
        head = self._load(call)
        if head.value.archived:
            raise conflict("The template is archived; copy it to use it again.")
        with _saving():
            template = self._deps.catalog.publish_version(head, _number(call))
        if template is None:
            raise not_found("version")
        return self._current(template)

    def copy(self, call: Call) -> TemplateView:
        """Copy the current version to a new template. Raises: ProblemError 404, 409, 422."""
        body: TemplateCopy = call.body
        source = self._load(call).value
        version, now = self._current_version(source), self._deps.clock.now_ms()
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
        first = version.model_copy(update={"template": body.id, "version": 1, "created_at": now, "published_at": None})
        with _saving(f"There is a template `{body.id}` already."):
            self._deps.catalog.create_template(template, first)
        return _view(template, first)

    def archive(self, call: Call) -> TemplateView:
        """Stop a template being sent; what is queued still goes. Raises: ProblemError 404, 409."""
        head = self._load(call)
        template = head.value.model_copy(update={"archived": True, "updated_at": self._deps.clock.now_ms()})
        with _saving():
            self._deps.catalog.update_template(template, head.rev)
        return self._current(template)

    def _load(self, call: Call) -> Stored[Template]:
        head = self._deps.catalog.load_template(call.caller.tenant, call.path["id"])
        if head is None:
            raise not_found("template")
        return head

    def _version(self, call: Call) -> TemplateVersion:
        found = self._deps.catalog.load_version(call.caller.tenant, call.path["id"], _number(call))
        if found is None:
            raise not_found("version")
        return found.value

    def _current_version(self, template: Template) -> TemplateVersion:
        number = template.published or template.latest
        found = self._deps.catalog.load_version(template.tenant, template.id, number)
        if found is None:
            raise not_found("version")
        return found.value

    def _current(self, template: Template) -> TemplateView:
        return _view(template, self._current_version(template))

    def _accounts(self, tenant: str, ids: Sequence[str], channel: Channel) -> Accounts:
        """The accounts named. Raises: ProblemError 422 naming each that is unknown or of another channel."""
        found, errors = [], []
        for position, account_id in enumerate(ids):
            stored = self._deps.catalog.load_account(tenant, account_id)
            if stored is None:
                errors.append(FieldError(field=f"accounts.{position}", message=f"there is no account `{account_id}`"))
            elif stored.value.channel is not channel:
                message = f"the account `{account_id}` is for {stored.value.channel}, the content for {channel}"
                errors.append(FieldError(field=f"accounts.{position}", message=message))
            else:
                found.append(stored.value)
        if errors:
            raise invalid(errors, "The accounts do not fit the template.")
        return found


@contextmanager
def _saving(
    taken: str = "The template was changed by another in this moment; read it and try again.",
) -> Iterator[None]:
    """Turn the catalog's refusals into answers."""
    try:
        yield
    except CatalogConflictError:
        raise conflict(taken) from None
    except CatalogTooLargeError:
        raise invalid_field("content", "the version is too large to keep; shorten it") from None


def _number(call: Call) -> int:
    text = call.path["version"]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= MAX_VERSIONS:
        raise invalid_field("path.version", f"give a number from 1 to {MAX_VERSIONS:,}")
    return int(text)


def _check(body: VersionCreate, accounts: list[Account]) -> Analysis:
    """Check a version with its sample against every account. Raises: ProblemError 422."""
    try:
        found = analyse(body.content)
    except TemplateError as error:
        raise invalid_field(error.field, error.message) from None
    errors = _account_errors(body.content, accounts)
    if errors:
        raise invalid(errors, "An account cannot carry this content.")
    rendered = _render(body.content, found, body.sample, "sample")
    for position, account in enumerate(accounts):
        for field, message in limits.check(rendered, account.provider):
            said = f"{message} (account `{account.id}`, with the sample variables)"
            errors.append(FieldError(field=f"content.{field}", message=said))
        if errors:
            raise invalid(errors, f"The content breaks a limit of `accounts.{position}`.")
    return found


def _account_errors(content: Content, accounts: list[Account]) -> list[FieldError]:
    return [
        FieldError(field=f"accounts.{position}", message=problem)
        for position, account in enumerate(accounts)
        if (problem := limits.usable_by(content, account.provider))
    ]


def _render(content: Content, found: Analysis, variables: dict[str, Any], where: str) -> Rendered:
    """Render with sample variables. Raises: ProblemError 422 naming each variable that does not fit."""
    errors = [
        FieldError(field=f"{where}.{name}", message=f"the variable `{name}` is missing; the content uses it")
        for name in found.required
        if variables.get(name) is None
    ]
    used = {*found.required, *found.optional}
    errors += [
        FieldError(field=f"{where}.{name}", message=f"the variable `{name}` is not used by the content; leave it out")
        for name in variables
        if name not in used
    ]
    if problem := check_variables(variables):
        errors.append(FieldError(field=where, message=problem))
    if errors:
        raise invalid(errors, "The variables do not fit the content.")
    try:
        return compile_content(content).render({}, variables)
    except RenderingError as error:
        raise invalid_field(error.field, error.message) from None


def _version(template: str, number: int, body: VersionCreate, found: Analysis, now: int) -> TemplateVersion:
    return TemplateVersion(
        template=template,
        version=number,
        content=body.content,
        required=found.required,
        optional=found.optional,
        loops=found.loops,
        sample=body.sample,
        note=body.note,
        created_at=now,
    )


def _version_view(version: TemplateVersion) -> VersionView:
    return VersionView(
        template=version.template,
        version=version.version,
        content=version.content,
        required=version.required,
        optional=version.optional,
        sample=version.sample,
        note=version.note,
        published=version.published_at is not None,
        created_at=_time(version.created_at),
    )


def _view(template: Template, current: TemplateVersion) -> TemplateView:
    return TemplateView.model_validate(
        _common(template)
        | {
            "ttl_seconds": template.ttl_seconds,
            "current": _version_view(current),
            "created_at": _time(template.created_at),
        }
    )


def _common(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "channel": template.channel,
        "class": template.message_class,
        "accounts": template.accounts,
        "latest": template.latest,
        "published": template.published,
        "archived": template.archived,
        "updated_at": _time(template.updated_at),
    }


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
