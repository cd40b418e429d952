"""The filters and tests of the template language, each with what it takes, what it costs and what it does.

What is not of a kind that an operation takes is refused, never read as something else.
"""

import inspect
import re
from collections.abc import Callable
from html import unescape
from math import ceil, floor, isfinite
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import UndefinedError
from markupsafe import Markup, escape
from msgspec import Struct

from shared.rendering.meter import (
    LIST,
    MISSING,
    NUMBER,
    OBJECT,
    SCALARS,
    TEXT,
    TRUTH,
    ShapeError,
    escaped_size,
    kind_of,
    size_of,
)

ANYTHING = SCALARS | {LIST, OBJECT, MISSING}
_TEXTS = SCALARS
_NUMBERS = frozenset({NUMBER})
_LONGEST_NUMBER = 30
_INT = re.compile(rf"[+-]?[0-9]{{1,{_LONGEST_NUMBER}}}\Z")
_FLOAT = re.compile(
    rf"[+-]?(?:[0-9]{{1,{_LONGEST_NUMBER}}}(?:\.[0-9]{{0,30}})?|\.[0-9]{{1,30}})(?:[eE][+-]?[0-9]{{1,3}})?\Z"
)
_LEEWAY = 5
_WORD_GAP = re.compile(r"([-\s({\[<]+)")


class Cost(Struct, frozen=True):
    """What an operation costs, in words and as a function of its arguments, in characters."""

    words: str
    of: Callable[..., int]


class Operation(Struct, frozen=True):
    """A filter, test or operator."""

    takes: frozenset[str]
    """The kinds of its first value."""
    cost: Cost
    call: Callable[..., Any]
    also: str = ""
    """What else it wants, in words."""

    @property
    def signature(self) -> inspect.Signature:
        """What arguments it takes. Read when a template uses it: of all operations it takes milliseconds."""
        return inspect.signature(self.call)

    def check(self, name: str, value: Any) -> None:
        """Look whether it takes a value. Raises: UndefinedError, ShapeError."""
        kind = kind_of(value)
        if kind in self.takes:
            return
        if kind is MISSING:
            raise UndefinedError(value._undefined_message if isinstance(value, Undefined) else f"what {name} takes")
        raise ShapeError(f"{name} takes {self.wants()}, not {kind}")

    def wants(self) -> str:
        """What it takes, in words."""
        kinds = "anything, also what is missing" if self.takes == ANYTHING else listed(self.takes)
        return f"{kinds}: {self.also}" if self.also else kinds


_ORDER = (TEXT, NUMBER, TRUTH, LIST, OBJECT, MISSING)


def listed(kinds: frozenset[str]) -> str:
    """Kinds in words, such as `a text, a number or a list`."""
    *others, last = [kind for kind in _ORDER if kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last


def _texts(value: Any, *_: Any, **__: Any) -> int:
    return size_of(value)


NOTHING = Cost("nothing", lambda *_, **__: 0)
READ = Cost("the text's characters", _texts)
CHANGED = Cost("3 times the text's characters", lambda value, *_, **__: 3 * size_of(value))
TAKEN_APART = Cost("30 times the text's characters", lambda value, *_, **__: 30 * size_of(value))
ESCAPED = Cost("the characters of the escaped text", lambda value, *_, **__: escaped_size(value))
ENTRIES = Cost("a character for each entry", lambda value, *_, **__: size_of(value))


def _join_cost(value: list[Any], d: Any = "", attribute: Any = None) -> int:
    return sum(map(size_of, _joined(value, attribute))) + len(value) * (size_of(d) + 10)


def _trim_cost(value: Any, chars: Any = None) -> int:
    return size_of(value) * (1 + (0 if chars is None else size_of(chars)))


def _truncate_cost(value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = None) -> int:
    return 2 * size_of(value) + size_of(end)


def in_cost(value: Any, container: Any) -> int:
    """What it costs to look whether `value in container`."""
    return size_of(value) + size_of(container) + (_entries_cost(container) if isinstance(container, list) else 0)


def _entries_cost(entries: list[Any]) -> int:
    return sum(map(size_of, entries)) + 30 * len(entries)


# Filters


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if kind_of(value) is MISSING or (boolean and not value) else value


def _first(value: Any) -> Any:
    return _edge(value, 0)


def _last(value: Any) -> Any:
    return _edge(value, -1)


def _edge(value: Any, position: int) -> Any:
    return entry_of(value[position] if value else None)


MISSING_ENTRY = StrictUndefined(name="an entry of a list")


def entry_of(found: Any) -> Any:
    """An entry of a list: itself, or missing."""
    return MISSING_ENTRY if found is None else found


def _joined(value: list[Any], attribute: Any) -> list[Any]:
    if attribute is None:
        return value
    return [entry.get(attribute) if isinstance(entry, dict) else None for entry in value]


def _join(value: list[Any], d: str = "", attribute: str | None = None) -> str:
    _text_argument("join", d)
    entries = _joined(value, attribute)
    for entry in entries:
        if entry is None:
            raise UndefinedError("an entry that join takes")
        if kind_of(entry) not in SCALARS:
            raise ShapeError("join takes texts and numbers; name one of their entries as the attribute")
    return str(d).join(map(str, entries))


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    if type(precision) is not int or not 0 <= precision <= 10:
        raise ShapeError("round takes a precision from 0 to 10")
    if method == "common":
        return finite("round", float(round(value, precision)))
    if method not in {"ceil", "floor"}:
        raise ShapeError("round goes by common, ceil or floor")
    scale: int = 10**precision
    return finite("round", (ceil(value * scale) if method == "ceil" else floor(value * scale)) / scale)


def _int(value: Any) -> int:
    if not isinstance(value, str):
        return int(value)
    text = value.strip()
    if not _INT.match(text):
        raise ShapeError("int takes a number, or a text of digits alone such as 1500")
    return int(text)


def _float(value: Any) -> float:
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    if not _FLOAT.match(text):
        raise ShapeError("float takes a number, or a text that is one such as 1500 or 12.5")
    return finite("float", float(text))


def finite(name: str, number: float) -> float:
    """The number itself. Raises: ShapeError for one without an end."""
    if not isfinite(number):
        raise ShapeError(f"{name} makes a number that is too large")
    return number


def _length(value: Any) -> int:
    return len(value)


def _title(value: Any) -> str:
    # Jinja's own, without what is slow in it.
    return "".join([piece[:1].upper() + piece[1:].lower() for piece in _WORD_GAP.split(str(value))])


def _trim(value: Any, chars: str | None = None) -> str:
    if chars is not None:
        _text_argument("trim", chars)
    return str(value).strip(chars)


def _truncate(value: Any, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = _LEEWAY) -> str:
    _text_argument("truncate", end)
    if type(length) is not int or type(leeway) is not int or length < len(end) or leeway < 0:
        raise ShapeError("truncate takes a length that is at least that of what it ends with")
    text = str(value)
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + str(end)


def _striptags(value: Any) -> str:
    # Jinja's own copies the whole text for each tag.
    text = str(value)
    parts: list[str] = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        close = "-->" if text.startswith("<!--", start) else ">"
        end = text.find(close, start)
        if end < 0:
            break
        parts.append(text[at:start])
        at = end + len(close)
    parts.append(text[at:])
    return " ".join(unescape("".join(parts)).split())


def _urlencode(value: Any) -> str:
    return quote(str(value), safe="/", errors="replace")


def _text_argument(name: str, value: Any) -> None:
    if kind_of(value) is not TEXT:
        raise ShapeError(f"{name} takes a text as its argument, not {kind_of(value)}")


def _upper(value: Any) -> str:
    return str(value).upper()


def _lower(value: Any) -> str:
    return str(value).lower()


def _capitalize(value: Any) -> str:
    return str(value).capitalize()


def _string(value: Any) -> str:
    return str(value)


def _escape(value: Any) -> Markup:
    return escape(value)


def _abs(value: Any) -> Any:
    return abs(value)


FILTERS: dict[str, Operation] = {
    "abs": Operation(_NUMBERS, NOTHING, _abs),
    "capitalize": Operation(_TEXTS, CHANGED, _capitalize),
    "count": Operation(frozenset({TEXT, LIST, OBJECT}), NOTHING, _length),
    "d": Operation(ANYTHING, NOTHING, _default),
    "default": Operation(ANYTHING, NOTHING, _default),
    "e": Operation(_TEXTS, ESCAPED, _escape),
    "escape": Operation(_TEXTS, ESCAPED, _escape),
    "first": Operation(frozenset({TEXT, LIST}), NOTHING, _first),
    "float": Operation(frozenset({TEXT, NUMBER}), READ, _float, "`1500` or `12.5`, not `1,500` or `1.5k`"),
    "int": Operation(frozenset({TEXT, NUMBER}), READ, _int, "digits alone; of a number its whole part"),
    "join": Operation(
        frozenset({LIST}),
        Cost("the characters of the entries, and of what stands between them", _join_cost),
        _join,
        "of texts, numbers, true and false",
    ),
    "last": Operation(frozenset({TEXT, LIST}), NOTHING, _last),
    "length": Operation(frozenset({TEXT, LIST, OBJECT}), NOTHING, _length),
    "lower": Operation(_TEXTS, CHANGED, _lower),
    "round": Operation(_NUMBERS, NOTHING, _round, "to 0 to 10 places, by common, ceil or floor"),
    "string": Operation(_TEXTS, READ, _string),
    "striptags": Operation(_TEXTS, TAKEN_APART, _striptags),
    "title": Operation(_TEXTS, TAKEN_APART, _title),
    "trim": Operation(_TEXTS, Cost("the text's characters, times those to be taken off and one", _trim_cost), _trim),
    "truncate": Operation(_TEXTS, Cost("twice the text's characters, and those of its end", _truncate_cost), _truncate),
    "upper": Operation(_TEXTS, CHANGED, _upper),
    "urlencode": Operation(_TEXTS, TAKEN_APART, _urlencode),
}
"""The filters that a template may use."""


# Tests


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int):
        raise ShapeError(f"{name} takes a whole number")
    return value


def _even(value: Any) -> bool:
    return _whole("even", value) % 2 == 0


def _odd(value: Any) -> bool:
    return _whole("odd", value) % 2 == 1


def _is(*types: type) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        return isinstance(value, types) and (bool in types or not isinstance(value, bool))

    return test


def _defined(value: Any) -> bool:
    return kind_of(value) is not MISSING


def _undefined(value: Any) -> bool:
    return kind_of(value) is MISSING


def equal(name: str, one: Any, other: Any) -> bool:
    """Whether two values are equal. Raises: ShapeError unless both are texts, numbers, or true or false."""
    kinds = kind_of(one), kind_of(other)
    if kinds[0] != kinds[1] or kinds[0] not in SCALARS:
        raise ShapeError(f"{name} compares {kinds[0]} with {kinds[1]}: give both as one kind, such as points | int")
    return bool(one == other)


def contains(value: Any, container: Any) -> bool:
    """Whether `value in container`. Raises: UndefinedError, ShapeError."""
    if isinstance(container, str) and isinstance(value, str):
        return value in container
    if isinstance(container, dict) and isinstance(value, str):
        return container.get(value) is not None
    if isinstance(container, list):
        return any([equal("in", value, entry) for entry in container if entry is not None])
    if kind_of(container) is MISSING:
        raise UndefinedError("what `in` looks into")
    raise ShapeError("in takes a text in a text, the name of an entry in an object, or a value in a list")


def _true(value: Any) -> bool:
    return value is True


def _false(value: Any) -> bool:
    return value is False


_GIVEN = ANYTHING - {MISSING}
_TRUTH = frozenset({TRUTH})
_IN = Cost("the characters of the value, and of the text or of the list's entries that it is looked for in", in_cost)

TESTS: dict[str, Operation] = {
    "boolean": Operation(_GIVEN, NOTHING, _is(bool)),
    "defined": Operation(ANYTHING, NOTHING, _defined),
    "even": Operation(_NUMBERS, NOTHING, _even, "a whole one"),
    "false": Operation(_TRUTH, NOTHING, _false),
    "float": Operation(_GIVEN, NOTHING, _is(float)),
    "in": Operation(SCALARS, _IN, contains, "in a text, in an object by name, or in a list of its kind"),
    "integer": Operation(_GIVEN, NOTHING, _is(int)),
    "mapping": Operation(_GIVEN, NOTHING, _is(dict)),
    "none": Operation(ANYTHING, NOTHING, _undefined),
    "number": Operation(_GIVEN, NOTHING, _is(int, float)),
    "odd": Operation(_NUMBERS, NOTHING, _odd, "a whole one"),
    "string": Operation(_GIVEN, NOTHING, _is(str)),
    "true": Operation(_TRUTH, NOTHING, _true),
    "undefined": Operation(ANYTHING, NOTHING, _undefined),
}
"""The tests that a template may use."""
