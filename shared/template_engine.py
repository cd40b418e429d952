"""The Jinja2 environments that templates run in: data only, no Python attributes, no calls, bounded at run time.

`shared.template_rules` decides what may be written; this decides what it does. A null is the same as a missing value.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from math import ceil, floor
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.visitor import NodeTransformer

from shared.template_links import LINK, check_link

METER = " meter"
"""Where a render keeps its `Meter` among its variables; no name in a template can hold a blank."""

MAX_OUTPUT = 1_000_000
MAX_STEPS = 100_000
MAX_CPU_SECONDS = 1.0
_STEPS_BETWEEN_LOOKS = 200


class OverrunError(Exception):
    """The template makes too much, or takes too long."""


class ShapeError(Exception):
    """A value is of a kind that cannot stand where the template uses it."""


class Meter:
    """What the loops of one render may still spend, in nodes carried out and in time of this thread.

    Processor time, not the clock: a thread that waits its turn does nothing wrong.
    """

    __slots__ = ("_left", "_look_at", "_until")

    def __init__(self) -> None:
        self._left = MAX_STEPS
        self._look_at = MAX_STEPS - _STEPS_BETWEEN_LOOKS
        self._until = time.thread_time() + MAX_CPU_SECONDS

    def spend(self, steps: int) -> None:
        """Raises: OverrunError when there is nothing left."""
        self._left -= steps
        if self._left > self._look_at:
            return
        self._look_at = self._left - _STEPS_BETWEEN_LOOKS
        if self._left < 0 or time.thread_time() > self._until:
            raise OverrunError("its loops do too much: give them fewer entries")


class _Entries(list[Any]):
    """What a loop goes over: a list that charges for each entry."""

    meter: Meter
    weight: int

    def __iter__(self) -> Iterator[Any]:
        for entry in super().__iter__():
            self.meter.spend(self.weight)
            yield _MISSING_ENTRY if entry is None else entry


@pass_context
def _entries(context: Context, value: Any, weight: int) -> _Entries:
    if isinstance(value, Undefined):
        raise UndefinedError(value._undefined_message)
    if not isinstance(value, list):
        raise ShapeError("a loop goes over something that is not a list")
    entries = _Entries(value)
    entries.meter, entries.weight = context.parent[METER], weight
    return entries


_MISSING_ENTRY = StrictUndefined(name="an entry of a list")


def _absent(value: Any) -> bool:
    return value is None or isinstance(value, Undefined)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if _absent(value) or (boolean and not value) else value


def _first(value: Any) -> Any:
    return _edge(value, 0)


def _last(value: Any) -> Any:
    return _edge(value, -1)


def _edge(value: Any, position: int) -> Any:
    if not isinstance(value, list | str):
        raise ShapeError("first and last take a list or a text")
    entry = value[position] if value else None
    return _MISSING_ENTRY if entry is None else entry


def _join(value: Any, d: str = "", attribute: str | None = None) -> str:
    if not isinstance(value, list):
        raise ShapeError("join takes a list")
    if attribute is not None:
        value = [entry.get(attribute) if isinstance(entry, dict) else None for entry in value]
    if None in value:
        raise UndefinedError("an entry that join takes")
    if any(isinstance(entry, list | dict) for entry in value):
        raise ShapeError("join takes texts and numbers; name one of their entries as the attribute")
    return str(d).join(map(str, value))


def _round(value: Any, precision: int = 0, method: str = "common") -> float:
    # Jinja's own raises 10 to any power that it is given.
    if type(precision) is not int or not 0 <= precision <= 10:
        raise ShapeError("round takes a precision from 0 to 10")
    if not isinstance(value, int | float):
        raise ShapeError("round takes a number")
    if method == "common":
        return float(round(value, precision))
    if method not in {"ceil", "floor"}:
        raise ShapeError("round goes by common, ceil or floor")
    scale: int = 10**precision
    return (ceil(value * scale) if method == "ceil" else floor(value * scale)) / scale


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


# Jinja's own tests format a text that holds a percent sign, which can make gigabytes.
def _even(value: Any) -> bool:
    return isinstance(value, int) and value % 2 == 0


def _odd(value: Any) -> bool:
    return isinstance(value, int) and value % 2 == 1


_OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "default": _default,
    "d": _default,
    "first": _first,
    "last": _last,
    "join": _join,
    "round": _round,
    "striptags": _striptags,
}
_OWN_TESTS = {
    "defined": lambda value: not _absent(value),
    "undefined": _absent,
    "none": _absent,
    "even": _even,
    "odd": _odd,
}
FILTERS = {
    name: _OWN_FILTERS.get(name) or JINJA_FILTERS[name]
    for name in (
        *("upper", "lower", "title", "capitalize", "trim", "default", "d", "length", "count", "join", "first", "last"),
        *("round", "int", "float", "abs", "escape", "e", "string", "truncate", "striptags", "urlencode"),
    )
}
"""The filters that a template may use."""

TESTS = {
    name: _OWN_TESTS.get(name) or JINJA_TESTS[name]
    for name in (
        *("defined", "undefined", "none", "number", "integer", "float", "string", "boolean", "mapping", "true"),
        *("false", "even", "odd", "in"),
    )
}
"""The tests that a template may use."""


class DataEnvironment(ImmutableSandboxedEnvironment):
    """Reaches into JSON data and the loop's counters, and into nothing else.

    So `order.items` is the entry `items`, where plain Jinja finds Python's method.
    """

    def __init__(self, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, finalize=show, keep_trailing_newline=True, cache_size=0
        )
        self.globals.clear()
        self.filters.clear()
        self.filters.update(FILTERS, **{_ENTRIES: _entries, LINK: check_link})
        self.tests.clear()
        self.tests.update(TESTS)

    # What is missing is named by the last part of its path alone, so that no message can hold a value.

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The entry `attribute` of an object, or a counter of the loop."""
        if isinstance(obj, dict):
            value = obj.get(attribute)
            return StrictUndefined(name=attribute) if value is None else value
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute)
        return StrictUndefined(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The entry of an object or list."""
        value = None
        if isinstance(obj, dict) and isinstance(argument, str):
            value = obj.get(argument)
        elif isinstance(obj, list) and type(argument) is int and -len(obj) <= argument < len(obj):
            value = obj[argument]
        return StrictUndefined(name="an entry") if value is None else value


def show(value: Any) -> Any:
    """What a placeholder shows of a value: itself. Raises: ShapeError for what no reader could read."""
    if isinstance(value, dict | list):
        raise ShapeError("a list or an object cannot be shown as text: use a loop, join or one of its entries")
    return value


_ENTRIES = "entries of a loop"
TEXT = DataEnvironment(autoescape=False)
HTML = DataEnvironment(autoescape=True)


class _Prepare(NodeTransformer):
    """Turns a checked template into the one that runs."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        weight = 1 + sum(1 for statement in node.body for _ in walk(statement))
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, _ENTRIES, [nodes.Const(weight)], [], None, None, lineno=node.lineno)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return nodes.Getattr(node.node, node.arg.value, "load", lineno=node.lineno)
        return node


def walk(node: nodes.Node) -> Iterable[nodes.Node]:
    """All nodes below and including `node`, without recursion."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def build(tree: nodes.Template, environment: DataEnvironment) -> Template:
    """Compile a tree that `shared.template_rules` has passed; changes the tree."""
    prepared = _Prepare().visit(tree)
    prepared.set_environment(environment)
    code = environment.compile(prepared)
    return Template.from_code(environment, code, {}, None)
