"""Where a message comes from, in a few letters that providers carry along and give back in their receipts.

So what all events of a message have in common is known from a receipt alone, whatever the timeline knows so far.
"""

from msgspec import Struct

from shared.model.envelope import Envelope
from shared.model.words import KeyKind, MessageClass

MAX_LENGTH = 256
"""Of a tag of Amazon SES, which takes letters, digits, hyphens and underscores (SES API v2 reference, MessageTag)."""
MAX_ANONYMOUS = 255
"""Of what anonymous links have in the place of a message, without a tenant and an account."""
_PARTS = 9
_WAITS = "w"
"""Ends what belongs to messages that may fall back after they were sent: their receipts are looked up."""
_CLASSES = {each.value[0]: each for each in MessageClass}
_KINDS = {"l": KeyKind.LIVE, "e": KeyKind.TEAM, "t": KeyKind.TEST}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}


class Origin(Struct, frozen=True):
    """What all events of a message have in common, but for what its id says."""

    tenant: str
    account: str | None
    """None where nobody knows through which it went."""
    template: str
    version: int
    message_class: MessageClass
    kind: KeyKind
    run: str | None
    variant: str | None
    waits: bool = False
    """Whether more is to be known of the message than this: it may still fall back."""


def origin_of(envelope: Envelope) -> str:
    """The origin of an envelope's messages, without whose account sends them."""
    campaign, _, ulid = (envelope.run or "").partition(".")
    return "_".join(
        (
            *(envelope.template, str(envelope.version), envelope.message_class.value[0], _LETTERS[envelope.kind]),
            *(campaign, ulid, envelope.variant or ""),
            *((_WAITS,) if envelope.waits else ()),
        )
    )


def origin_of_template(template: str, version: int, message_class: MessageClass) -> str:
    """The origin of what is no message's, and counts for a template."""
    return "_".join((template, str(version), message_class.value[0], _LETTERS[KeyKind.LIVE], "", "", ""))


def whole_origin(tenant: str, account: str, origin: str) -> str | None:
    """The origin as a provider carries it; None if it is too long, so that it has to be looked up.

    No name of these has an underscore, and none a dot but that of a run.
    """
    text = f"{tenant}_{account}_{origin}"
    return text if origin and len(text) <= MAX_LENGTH else None


def read_origin(text: str) -> Origin | None:
    """What was written; None for anything else."""
    parts = text.split("_")
    waits = parts[_PARTS:] == [_WAITS]
    if len(parts) != _PARTS + waits:
        return None
    tenant, account, template, version, letter, kind, campaign, ulid, variant = parts[:_PARTS]
    if not version.isdecimal() or letter not in _CLASSES or kind not in _KINDS or not (tenant and template):
        return None
    run = f"{campaign}.{ulid}" if ulid else campaign or None
    found = (template, int(version), _CLASSES[letter], _KINDS[kind], run, variant or None, waits)
    return Origin(tenant, account or None, *found)
