"""The templates of a campaign: which versions its variants stand for, and whether they may be sent so."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import FieldError
from shared.model.campaigns import Variant
from shared.model.templates import Template, TemplateVersion
from shared.model.words import MessageClass
from shared.store.templates import TemplateStore


@dataclass(frozen=True, slots=True)
class Resolved:
    """A variant with what it stands for at this moment."""

    variant: Variant
    template: Template
    version: TemplateVersion

    @property
    def placeholders(self) -> set[str]:
        """The variables that the version uses."""
        return {*self.version.required, *self.version.optional}


def resolve(
    templates: TemplateStore, tenant: str, variants: Sequence[Variant]
) -> tuple[list[Resolved], list[FieldError]]:
    """What variants stand for, and what is wrong with those that cannot be sent, by the place of each."""
    found: list[Resolved] = []
    errors: list[FieldError] = []
    for i, variant in enumerate(variants):
        if variant.name in (other.name for other in variants[:i]):
            message = "is the name of another variant; give each a name of its own"
            errors.append(FieldError(field=f"variants.{i}.name", message=message))
        one = _resolve(templates, tenant, variant)
        wrong: tuple[str, str] | None
        if isinstance(one, Resolved):
            found.append(one)
            wrong = _misfit(one, found[0])
        else:
            wrong = one
        if wrong is not None:
            errors.append(FieldError(field=f"variants.{i}.{wrong[0]}", message=wrong[1]))
    return found, errors


def _resolve(templates: TemplateStore, tenant: str, variant: Variant) -> Resolved | tuple[str, str]:
    """What a variant stands for, or the field that is wrong and why."""
    template = templates.fresh.template(tenant, variant.template)
    if template is None:
        return "template", f"there is no template `{variant.template}`"
    if template.archived:
        return "template", f"the template `{template.id}` is archived; use another"
    if template.message_class is MessageClass.VERIFICATION:
        return "template", (
            f"the template `{template.id}` is of the class verification: codes are sent one by one, to somebody who "
            "waits for one; use a template of the class notification or marketing"
        )
    number = variant.version or template.published
    if number is None:
        return "template", f"the template `{template.id}` has no published version; publish one"
    version = templates.fresh.version(tenant, template.id, number)
    if version is None or version.published_at is None:
        return "version", f"version {number} of the template was never published; publish it, or name another"
    return Resolved(variant, template, version)


def _misfit(one: Resolved, first: Resolved) -> tuple[str, str] | None:
    """The field of a variant that does not go with the first one, and why."""
    mine, others = one.template, first.template
    if (mine.channel, mine.message_class) == (others.channel, others.message_class):
        return None
    return "template", (
        f"the template `{mine.id}` is for {mine.channel} and of the class {mine.message_class}, `{others.id}` is for "
        f"{others.channel} and of the class {others.message_class}; all of a campaign must be alike"
    )
