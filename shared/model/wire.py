"""How rows and envelopes are written where they travel and lie: JSON with short keys, which nothing else spells.

Each class says in its `rename` which name is written how, and leaves out what is at its default.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

write: Callable[[Any], bytes] = msgspec.json.Encoder().encode
"""A value as JSON. Raises: UnicodeEncodeError for half of a surrogate pair."""


class UnreadableError(ValueError):
    """A text that is not what it should be. field: the path of what is wrong, such as `recipients[0].to`, or empty."""

    def __init__(self, field: str) -> None:
        super().__init__(field or "no JSON")
        self.field = field


class Reader(Generic[T]):
    """Reads JSON as a type; keys that the type does not know are passed over."""

    def __init__(self, type: Any) -> None:
        self._decode: Callable[[bytes | str], T] = msgspec.json.Decoder(type).decode

    def __call__(self, text: bytes | str) -> T:
        """Raises: UnreadableError."""
        try:
            return self._decode(text)
        except msgspec.DecodeError as error:
            # Of the message only the path, which quotes no value.
            _, found, path = str(error).rpartition("`$")
            raise UnreadableError(path.strip("`.") if found else "") from None
        except (RecursionError, UnicodeError):
            raise UnreadableError("") from None
