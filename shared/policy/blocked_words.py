"""Words that no message may hold: what a carrier or a law forbids, as people have listed it in the settings."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from shared.model.content import Rendered


def blocked_word(content: Rendered, words: Sequence[str]) -> str | None:
    """The first of `words` that a rendered message holds, in whatever case; None if it holds none.

    Looked at are all its texts as they are sent, HTML with its tags.
    """
    if not words:
        return None
    ordered = _ordered(tuple(words))
    for text in _texts(content):
        folded = text.casefold()
        # Word by word: that is many times as fast as a pattern of them all, which looks at each word everywhere.
        for word, looked_for in ordered:
            if looked_for in folded:
                return word
    return None


@lru_cache(16)
def _ordered(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """The words, each with what is looked for. Of two words that begin alike the longer one is named."""
    return [(word, word.casefold()) for word in sorted(words, key=len, reverse=True)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from _texts(getattr(value, name))
