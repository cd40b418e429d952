"""The operators of the template language, each with what it takes, what it costs and what it does."""

import operator
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.exceptions import UndefinedError
from markupsafe import Markup

from shared.rendering.meter import MISSING, NUMBER, SCALARS, TEXT, ShapeError, escaped_size, kind_of, size_of
from shared.rendering.words import ANYTHING, NOTHING, Cost, Operation, contains, equal, finite, in_cost

_NUMBERS = frozenset({NUMBER})


def _number(name: str, value: Any) -> Any:
    if kind_of(value) is not NUMBER:
        _refuse_missing(value)
        raise ShapeError(f"{name} takes two numbers, not a number and {kind_of(value)}")
    return value


def _refuse_missing(value: Any) -> None:
    if isinstance(value, Undefined):
        raise UndefinedError(value._undefined_message)


def _add(one: Any, other: Any) -> Any:
    if kind_of(one) is NUMBER:
        return finite("+", one + _number("+", other))
    if kind_of(other) is not TEXT:
        _refuse_missing(other)
        raise ShapeError(f"+ takes two numbers or two texts, not a text and {kind_of(other)}; ~ joins as texts")
    return one + other


def _subtract(one: Any, other: Any) -> Any:
    return finite("-", one - _number("-", other))


def _divide(one: Any, other: Any) -> Any:
    return finite("/", one / _number("/", other))


def _negative(value: Any) -> Any:
    return -value


def _positive(value: Any) -> Any:
    return value


def _concat(*values: Any) -> str:
    for value in values:
        _refuse_missing(value)
        if kind_of(value) not in SCALARS:
            raise ShapeError(f"~ takes texts and numbers, not {kind_of(value)}")
    if any(isinstance(value, Markup) for value in values):
        return Markup("").join(value if isinstance(value, Markup) else str(value) for value in values)
    return "".join(map(str, values))


def _ordered(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(one: Any, other: Any) -> bool:
        kinds = kind_of(one), kind_of(other)
        if kinds not in {(TEXT, TEXT), (NUMBER, NUMBER)}:
            message = (
                f"{name} compares {kinds[0]} with {kinds[1]}: give both as numbers or as texts, such as points | int"
            )
            raise ShapeError(message)
        return compare(one, other)

    return ordered


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: equal("==", one, other),
    "ne": lambda one, other: not equal("!=", one, other),
    "lt": _ordered("<", operator.lt),
    "lteq": _ordered("<=", operator.le),
    "gt": _ordered(">", operator.gt),
    "gteq": _ordered(">=", operator.ge),
    "in": contains,
    "notin": lambda one, other: not contains(one, other),
}


def _compare(value: Any, *rest: Any) -> bool:
    """rest: a comparison's name and its other side, for each comparison of a chain."""
    for name, other in zip(rest[::2], rest[1::2], strict=True):
        _refuse_missing(other)
        if not _COMPARISONS[name](value, other):
            return False
        value = other
    return True


def _compare_cost(value: Any, *rest: Any) -> int:
    values = (value, *rest[1::2])
    return sum(in_cost(one, other) for one, other in pairwise(values))


_NO_ENTRY = StrictUndefined(name="an entry")


def _item(value: Any, argument: Any) -> Any:
    found = None
    if isinstance(value, dict) and isinstance(argument, str):
        found = value.get(argument)
    elif isinstance(value, list) and type(argument) is int and -len(value) <= argument < len(value):
        found = value[argument]
    return _NO_ENTRY if found is None else found


CONCAT, ADD, SUBTRACT, DIVIDE, NEGATIVE, POSITIVE, COMPARE, ITEM = (
    *(" ~", " +", " -", " /", " a minus sign", " a plus sign", " a comparison", " [ ]"),
)
_ALL = Cost("the characters of all, escaped", lambda *values: sum(map(escaped_size, values)))
_BOTH = Cost("the digits of both", lambda one, other: size_of(one) + size_of(other))
_COMPARED = Cost("the characters of both sides, of a list those of its entries", _compare_cost)

OPERATORS: dict[str, Operation] = {
    CONCAT: Operation(SCALARS, _ALL, _concat, "on each side"),
    ADD: Operation(frozenset({TEXT, NUMBER}), _ALL, _add, "two numbers or two texts"),
    SUBTRACT: Operation(_NUMBERS, _BOTH, _subtract, "on both sides"),
    DIVIDE: Operation(_NUMBERS, _BOTH, _divide, "on both sides, the second not 0"),
    NEGATIVE: Operation(_NUMBERS, NOTHING, _negative),
    POSITIVE: Operation(_NUMBERS, NOTHING, _positive),
    COMPARE: Operation(SCALARS, _COMPARED, _compare, "two of one kind; < and the like two numbers or two texts"),
    ITEM: Operation(ANYTHING - {MISSING}, Cost("the characters of the name", lambda _, name: size_of(name)), _item),
}
"""The operators, by the name of the filter that stands for each where a template runs."""
SIGNS = {
    CONCAT: "`a ~ b`",
    ADD: "`a + b`",
    SUBTRACT: "`a - b`",
    DIVIDE: "`a / b`",
    NEGATIVE: "`-a`",
    POSITIVE: "`+a`",
    COMPARE: "`==` `!=` `<` `<=` `>` `>=` `in` `not in`",
    ITEM: "`a[b]`",
}
"""How each is written."""
