"""What one rendering may spend. Everything that a template does is paid for before it is done, so that neither its time
nor its memory depends on how it is written."""

import time
from typing import Any

from jinja2 import Undefined
from markupsafe import Markup

from shared.errors import InvalidError

MAX_WORK = 2_000_000
"""Of one rendering of a whole content, in characters read or written."""
STEP = 40
"""What one part of an expression or statement costs besides, whatever it does."""
MAX_CPU_SECONDS = 1.0
"""The second guard, far beyond what `MAX_WORK` takes. Of the thread: one that waits its turn does nothing wrong."""
_WORK_BETWEEN_LOOKS = 50_000
FEW = 100
MOST_ESCAPED = 6
"""Up to so many characters are not looked at one by one: each is taken for one that is read, and escaped with five."""


class OverrunError(InvalidError):
    """The rendering does too much."""


class ShapeError(InvalidError):
    """A value is of a kind that cannot stand where the template uses it; the message says where, and holds no value."""


class Meter:
    """What is left to one rendering."""

    __slots__ = ("_left", "_look_at", "_until")

    def __init__(self) -> None:
        self._left = MAX_WORK
        self._look_at = MAX_WORK - _WORK_BETWEEN_LOOKS
        self._until: float | None = None

    @property
    def spent(self) -> int:
        """What has been spent so far."""
        return MAX_WORK - self._left

    def spend(self, work: int) -> None:
        """Pay for what is done next. Raises: OverrunError when there is not so much left."""
        self._left -= work
        if self._left < self._look_at:
            self._look()

    def _look(self) -> None:
        self._look_at = max(self._left - _WORK_BETWEEN_LOOKS, 0)
        now = time.thread_time()
        if self._until is None:
            self._until = now + MAX_CPU_SECONDS
        if self._left < 0 or now > self._until:
            raise OverrunError("does too much: give it shorter texts and lists, or take loops and filters out")


TEXT, NUMBER, TRUTH, LIST, OBJECT, MISSING = "a text", "a number", "true/false", "a list", "an object", "missing"
SCALARS = frozenset({TEXT, NUMBER, TRUTH})
_KINDS: dict[type, str] = {
    str: TEXT, Markup: TEXT, int: NUMBER, float: NUMBER, bool: TRUTH, list: LIST, dict: OBJECT, type(None): MISSING,
}  # fmt: skip


def kind_of(value: Any) -> str:
    """What a value is, in words. A null is the same as a missing value."""
    found = _KINDS.get(type(value))
    if found is None:
        found = MISSING if isinstance(value, Undefined) else LIST if isinstance(value, list) else "something else"
    return found


def size_of(value: Any) -> int:
    """The characters of a value as a text, at least; of a list or object its entries."""
    if isinstance(value, str | list | dict):
        return len(value)
    return value.bit_length() // 3 + 2 if isinstance(value, int) else 24


def escaped_size(value: Any) -> int:
    """The characters of a value once it is escaped for HTML, at most."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return size_of(value)
    if len(value) <= FEW:
        return MOST_ESCAPED * len(value)
    return len(value) + 4 * sum(map(value.count, "&\"'")) + 3 * (value.count("<") + value.count(">"))
