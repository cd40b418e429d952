"""Whether a message can be sent, as far as that is known before any provider is asked: one answer for whoever previews,
checks a campaign's rows or sends."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from shared.model.content import Rendered
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.policy.blocked_words import blocked_word
from shared.policy.limits import TooLong
from shared.providers.declared import check
from shared.rendering.render import Compiled, RenderingError, Variables

_LENGTHS = (2_000, 400, 100)
# The most bytes as UTF-8; the most once it is escaped for HTML.
_WORST = ("\U0001f600", '"')


class Unfit(Struct, frozen=True):
    """Why a message cannot be sent."""

    reason: Reason
    found: str
    """Where and what, without any value."""


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
    broken = check(rendered, provider, message_class)
    if not broken:
        return None
    field, message = broken[0]
    reason = Reason.CONTENT_TOO_LONG if isinstance(broken[0], TooLong) else Reason.CONTENT_INVALID
    return Unfit(reason, f"content.{field}: {message}")


class Sendable:
    """Judges the messages of one content that any of some providers may have to carry.

    words: those that no message may hold. short: recipients whose variables are texts of no more characters than this
    together, with none blank and none missing, can be sent to whatever these say; -1 if nobody can know.
    """

    def __init__(
        self,
        compiled: Compiled,
        shared: Mapping[str, Any],
        providers: Collection[str],
        message_class: MessageClass,
        words: Sequence[str] = (),
    ) -> None:
        self._compiled = compiled
        self._shared = shared
        self._providers = providers
        self._message_class = message_class
        self._words = words
        self._needed = {name for name in compiled.analysis.required if shared.get(name) is None}
        self.short = self._short()

    def problem(self, own: Variables) -> Unfit | None:
        """Why a recipient's message would not be sent; None if nothing is known against it."""
        rendered = fill(self._compiled, self._shared, own, self._words)
        if isinstance(rendered, Unfit):
            return rendered
        found = (beyond(rendered, provider, self._message_class) for provider in self._providers)
        return next((unfit for unfit in found if unfit is not None), None)

    def is_plain(self, own: Variables) -> bool:
        """Whether a recipient is one of those of whom `short` speaks."""
        values = own.values()
        if not all(type(value) is str and value.strip() for value in values):
            return False
        return sum(map(len, values)) <= self.short and own.keys() >= self._needed

    def _short(self) -> int:
        """Tries the worst texts of some length: nothing but the length of a value matters where it is only shown."""
        if not self._compiled.plain or self._words:
            return -1
        analysis = self._compiled.analysis
        if self.problem(dict.fromkeys(self._needed, "x")) is not None:
            return -1
        for length in _LENGTHS:
            worst = [dict.fromkeys((*analysis.required, *analysis.optional), text * length) for text in _WORST]
            if all(self.problem(own) is None for own in worst):
                return length
        return -1
