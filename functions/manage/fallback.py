"""What templates must hold against each other that fall back one to the other, whichever of them changes.

The looks at the others and the change are not one step: two that change in the same moment may not fit. Who sends then
leaves out what does not (`functions/ingest/fallback.py`).
"""

from collections.abc import Mapping

from shared.errors import ConflictError, invalid_field
from shared.model.templates import Template, TemplateVersion
from shared.store.templates import TemplateStore

_FIELD = "fallback.template"
Changing = Mapping[str, tuple[Template, TemplateVersion]]
"""Templates as they would be, each with the version that would be sent."""


def check_fallback(templates: TemplateStore, template: Template, version: TemplateVersion) -> None:
    """Check a template as it would be against those to which it falls back, and those that fall back to it.

    version: the one that would be sent. Raises: InvalidError.
    """
    changing = {template.id: (template, version)}
    if template.fallback is not None and (problem := _problem(templates, template, version, changing)):
        raise invalid_field(_FIELD, problem)
    left, seen = [template.id], {template.id}
    while left:
        for user in templates.falling_back_to(template.tenant, left.pop()):
            sent = templates.load_version(user.tenant, user.id, user.published or user.latest)
            if (
                user.id not in seen
                and sent is not None
                and (problem := _problem(templates, user, sent.value, changing))
            ):
                raise invalid_field(_FIELD, f"the template `{user.id}` falls back to this one: {problem}")
            if user.id not in seen:
                seen.add(user.id)
                left.append(user.id)


def check_unused(templates: TemplateStore, template: Template) -> None:
    """Check that no template falls back to one that is to be archived. Raises: ConflictError."""
    if users := sorted(user.id for user in templates.falling_back_to(template.tenant, template.id)):
        names = ", ".join(f"`{user}`" for user in users[:10])
        raise ConflictError(f"Templates fall back to it: {names}. Take it out of their fallback first.")


def _problem(templates: TemplateStore, first: Template, version: TemplateVersion, changing: Changing) -> str | None:
    """What is wrong with the templates to which one falls back, one after the other."""
    known, channels, before = {*version.required, *version.optional}, {first.channel: first.id}, first
    while before.fallback is not None:
        id = before.fallback.template
        head = templates.load_template(first.tenant, id)
        other = changing[id][0] if id in changing else None if head is None else head.value
        if other is None:
            return f"there is no template `{id}`"
        if other.channel in channels:
            return f"`{id}` is for {other.channel}, and so is `{channels[other.channel]}`; name one of another channel"
        if other.message_class is not first.message_class:
            return f"`{id}` is of the class {other.message_class}; name one of the class {first.message_class}"
        if other.archived:
            return f"`{id}` is archived; name another"
        if other.published is None:
            return f"`{id}` has no published version; publish one first"
        sent = templates.load_version(first.tenant, id, other.published)
        required = changing[id][1].required if id in changing else [] if sent is None else sent.value.required
        if missing := sorted(set(required) - known):
            names = ", ".join(f"`{name}`" for name in missing)
            return f"`{id}` needs {names}, which `{first.id}` does not use; use it there too, or name another template"
        channels[other.channel] = id
        before = other
    return None
