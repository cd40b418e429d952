"""How a call names a template's version, and how templates and versions look to callers."""

import re

from shared.api.fields import MAX_VERSIONS, moment
from shared.api.governance import ReviewView
from shared.api.kit import Call
from shared.api.manage import TemplateSummary, TemplateView, VersionView
from shared.errors import ConflictError, InvalidError, invalid_field, not_found
from shared.model.templates import Template, TemplateVersion
from shared.store.catalog_items import Stored
from shared.store.templates import TemplateStore

_VERSION = re.compile(r"[1-9][0-9]{0,5}\Z")


def load_template(templates: TemplateStore, call: Call) -> Stored[Template]:
    """The template that a call names. Raises: NotFoundError."""
    head = templates.load_template(call.caller.tenant, call.path["id"])
    if head is None:
        raise not_found("template")
    return head


def load_version(templates: TemplateStore, call: Call) -> Stored[TemplateVersion]:
    """The version that a call names. Raises: NotFoundError, InvalidError."""
    found = templates.load_version(call.caller.tenant, call.path["id"], version_number(call))
    if found is None:
        raise not_found("version")
    return found


def version_number(call: Call) -> int:
    """The number in a call's path. Raises: InvalidError."""
    text = call.path["version"]
    if not _VERSION.match(text):
        raise invalid_field("path.version", f"give a number from 1 to {MAX_VERSIONS:,}")
    return int(text)


def archived() -> ConflictError:
    """An archived template stays as it is."""
    return ConflictError("The template is archived; copy it to use it again.")


def too_large() -> InvalidError:
    """No item of the catalog can hold the version."""
    return invalid_field("content", "the version is too large to keep; shorten the content or the sample")


def version_view(version: TemplateVersion) -> VersionView:
    """A version as callers see it."""
    return VersionView(
        template=version.template,
        version=version.version,
        content=version.content,
        required=version.required,
        optional=version.optional,
        sample=version.sample,
        note=version.note,
        author=version.author,
        review=ReviewView.of(version.review),
        published=version.published_at is not None,
        created_at=moment(version.created_at),
    )


def template_view(template: Template, current: TemplateVersion) -> TemplateView:
    """A template with its current version as callers see it."""
    more = {"current": version_view(current), "created_at": moment(template.created_at)}
    return TemplateView.model_validate(dict(template_summary(template)) | more)


def template_summary(template: Template) -> TemplateSummary:
    """A template as listings show it."""
    facts = template.model_dump(exclude={"tenant", "created_at"})
    return TemplateSummary.model_validate(facts | {"updated_at": moment(template.updated_at)})
