"""Whether a message can be sent, as far as that is known before any provider is asked: one answer for whoever previews,
checks a campaign's rows or sends."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from shared.model.content import Rendered
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.policy import limits
from shared.policy.blocked_words import blocked_word
from shared.rendering import Compiled, RenderingError, Variables


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a message cannot be sent. found: where and what, without any value."""

    reason: Reason
    found: str


def fill(compiled: Compiled, shared: Variables, own: Variables, words: Sequence[str]) -> Rendered | Unfit:
    """A recipient's message. words: those that no message may hold."""
    try:
        rendered = compiled.render(shared, own)
    except RenderingError as error:
        return Unfit(Reason.RENDERING_FAILED, str(error))
    word = blocked_word(rendered, words)
    return rendered if word is None else Unfit(Reason.CONTENT_BLOCKED, f"blocked word: {word}")


def beyond(rendered: Rendered, provider: str, message_class: MessageClass) -> Unfit | None:
    """What a provider's vendor would refuse of a message; None if nothing. Raises: KeyError for an unknown provider."""
    broken = limits.check(rendered, provider, message_class)
    if not broken:
        return None
    field, message = broken[0]
    reason = Reason.CONTENT_TOO_LONG if isinstance(broken[0], limits.TooLong) else Reason.CONTENT_INVALID
    return Unfit(reason, f"content.{field}: {message}")


@dataclass(frozen=True, slots=True)
class Sendable:
    """Judges the messages of one content that any of these providers may have to carry."""

    compiled: Compiled
    shared: dict[str, Any]
    words: Sequence[str]
    providers: Collection[str]
    message_class: MessageClass

    def problem(self, own: Variables) -> Unfit | None:
        """Why a recipient's message would not be sent; None if nothing is known against it."""
        rendered = fill(self.compiled, self.shared, own, self.words)
        if isinstance(rendered, Unfit):
            return rendered
        found = (beyond(rendered, provider, self.message_class) for provider in self.providers)
        return next((unfit for unfit in found if unfit is not None), None)
