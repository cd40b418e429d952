"""Fallback to other channels: by which templates a request's messages fall back, and to which addresses."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, cast

from shared.api.messages import FallbackIn
from shared.model.envelope import EnvelopeRecipient, FallbackLeg
from shared.model.ids import Tagger
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant
from shared.model.words import Until
from shared.policy.admission import Gate


class Templates(Protocol):
    """Where templates are read."""

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, version: int) -> TemplateVersion | None: ...


class Step(NamedTuple):
    """A template to which the one before falls back."""

    template: Template
    version: TemplateVersion
    after_s: int | None
    """How many seconds that one's messages have before."""
    until: Until
    """What they must come to."""


def steps(templates: Templates, first: Template) -> list[Step]:
    """The templates to which one falls back, one after the other, as far as they can be sent.

    What does not fit is refused where it is saved, so here it can only be younger than what was checked.
    """
    found: list[Step] = []
    before, channels = first, {first.channel}
    while before.fallback is not None:
        other = templates.template(first.tenant, before.fallback.template)
        if other is None or other.archived or other.published is None or other.channel in channels:
            break
        version = templates.version(first.tenant, other.id, other.published)
        if version is None:
            break
        minutes = before.fallback.after_minutes
        found.append(Step(other, version, None if minutes is None else 60 * minutes, before.fallback.until))
        channels.add(other.channel)
        before = other
    return found


class Addresses:
    """Reads the addresses to which recipients' messages fall back."""

    def __init__(self, found: Sequence[Step], tenant: Tenant, gate: Gate) -> None:
        self._taggers = {s.template.channel.value: Tagger(tenant.salt, s.template.channel) for s in found}
        self._gate = gate

    def read(self, given: FallbackIn) -> dict[str, tuple[str, str]]:
        """Channel -> address and tag, for those of the template's channels for which there is one.

        Raises: RefusedError for the first that is wrong.
        """
        texts = cast(dict[str, str], given)
        return {name: self._one(name, texts[name], tag) for name, tag in self._taggers.items() if name in texts}

    def _one(self, channel: str, raw: str, tagger: Tagger) -> tuple[str, str]:
        address = self._gate.admit(f"fallback.{channel}", channel, raw)
        return address, tagger(address)


def by_legs(
    recipients: list[tuple[int, EnvelopeRecipient]], found: Sequence[Step], end: int
) -> Iterator[tuple[list[FallbackLeg], list[tuple[int, EnvelopeRecipient]]]]:
    """Recipients by the legs for which they have addresses: only who falls back alike shares an envelope and its time.

    end: of the time to live, in milliseconds since the epoch.
    """
    if not found:
        yield [], recipients
        return
    groups: dict[tuple[str, ...], list[tuple[int, EnvelopeRecipient]]] = {}
    for pair in recipients:
        groups.setdefault(tuple(pair[1].other_addresses), []).append(pair)
    for channels, members in groups.items():
        yield list(_legs(channels, found, end)), members


def _legs(channels: Sequence[str], found: Sequence[Step], end: int) -> Iterator[FallbackLeg]:
    # Where a leg is left out, the one before it has its own time all the same, and must come to the same.
    after_s, until = (found[0].after_s, found[0].until) if found else (None, Until.SENT)
    for step, following in zip(found, [*found[1:], None], strict=True):
        template, version = step.template, step.version
        if template.channel.value in channels:
            names = [*version.required, *version.optional]
            yield FallbackLeg(template.channel, template.id, version.version, after_s, end, names, until)
            if following is not None:
                after_s, until = following.after_s, following.until
