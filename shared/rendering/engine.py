"""The Jinja2 environments that templates run in: data only, no Python attributes, no calls, bounded at run time.

`rules.py` decides what may be written, `words.py` and `operators.py` what that does. A null is the same as a missing
value.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from shared.policy.links import LinkError
from shared.rendering.meter import (
    MISSING,
    SCALARS,
    STEP,
    Meter,
    OverrunError,
    ShapeError,
    escaped_size,
    kind_of,
    size_of,
)
from shared.rendering.operators import (
    ADD,
    COMPARE,
    CONCAT,
    DIVIDE,
    ITEM,
    NEGATIVE,
    OPERATORS,
    POSITIVE,
    SUBTRACT,
)
from shared.rendering.places import PLACES
from shared.rendering.words import FILTERS, TESTS, Operation, entry_of

METER = " meter"
"""Where a render keeps its `Meter` among its variables; no name in a template can hold a blank."""
_ENTRIES = " entries of a loop"
_TOLD = (OverrunError, ShapeError, LinkError, UndefinedError, ZeroDivisionError)


def metered(name: str, operation: Operation) -> Callable[..., Any]:
    """An operation as Jinja calls it: it looks at the value, pays, and only then does its work."""
    name, check, cost, call = name.strip(), operation.check, operation.cost.of, operation.call

    @pass_context
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            check(name, value)
            context.parent[METER].spend(cost(value, *args, **kwargs))
            return call(value, *args, **kwargs)
        except _TOLD:
            raise
        except Exception as error:  # of any type: what Python makes of a value is no word for who wrote the template
            raise ShapeError(f"{name} cannot take these values ({type(error).__name__})") from None

    return run


class _Entries(list[Any]):
    """What a loop goes over: a list that charges for each entry."""

    meter: Meter
    weight: int

    def __iter__(self) -> Iterator[Any]:
        for entry in super().__iter__():
            self.meter.spend(self.weight)
            yield entry_of(entry)


@pass_context
def _entries(context: Context, value: Any, steps: int) -> _Entries:
    if isinstance(value, Undefined):
        raise UndefinedError(value._undefined_message)
    if not isinstance(value, list):
        raise ShapeError("a loop goes over something that is not a list")
    meter: Meter = context.parent[METER]
    meter.spend(size_of(value))
    entries = _Entries(value)
    entries.meter, entries.weight = meter, steps * STEP
    return entries


def shown(value: Any) -> Any:
    """What a placeholder shows of a value: itself. Raises: ShapeError for what no reader could read."""
    if kind_of(value) not in SCALARS and kind_of(value) is not MISSING:
        raise ShapeError("a list or an object cannot be shown as text: use a loop, join or one of its entries")
    return value


@pass_context
def _show(context: Context, value: Any) -> Any:
    context.parent[METER].spend(escaped_size(shown(value)))
    return value


class DataEnvironment(ImmutableSandboxedEnvironment):
    """Reaches into JSON data and the loop's counters, and into nothing else.

    So `order.items` is the entry `items`, where plain Jinja finds Python's method.
    """

    def __init__(self, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, finalize=_show, keep_trailing_newline=True, cache_size=0
        )
        self.globals.clear()
        self.filters.clear()
        operations = {**FILTERS, **OPERATORS, **PLACES}
        self.filters.update({name: metered(name, each) for name, each in operations.items()}, **{_ENTRIES: _entries})
        self.tests.clear()
        self.tests.update({name: metered(name, each) for name, each in TESTS.items()})

    # What is missing is named by the last part of its path alone, so that no message can hold a value.

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The entry `attribute` of an object, or a counter of the loop."""
        if isinstance(obj, dict):
            value = obj.get(attribute)
            return StrictUndefined(name=attribute) if value is None else value
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute)
        return StrictUndefined(name=attribute)


TEXT = DataEnvironment(autoescape=False)
HTML = DataEnvironment(autoescape=True)


_BINARY: dict[type[nodes.Expr], str] = {nodes.Add: ADD, nodes.Sub: SUBTRACT, nodes.Div: DIVIDE}
_UNARY: dict[type[nodes.Expr], str] = {nodes.Neg: NEGATIVE, nodes.Pos: POSITIVE}


def _operation(name: str, node: nodes.Node, value: Any, *args: Any) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=node.lineno)


class _Prepare(NodeTransformer):
    """Turns a checked template into the one that runs: each operator becomes the filter that stands for it."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        steps = 1 + sum(1 for statement in node.body for _ in walk(statement))
        self.generic_visit(node)
        node.iter = _operation(_ENTRIES, node.iter, node.iter, nodes.Const(steps))
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return nodes.Getattr(node.node, node.arg.value, "load", lineno=node.lineno)
        return _operation(ITEM, node, node.node, node.arg)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.List:
        return nodes.List(node.items, lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _operation(CONCAT, node, node.nodes[0], *node.nodes[1:])

    def visit_Compare(self, node: nodes.Compare) -> nodes.Expr:
        self.generic_visit(node)
        rest = [part for operand in node.ops for part in (nodes.Const(operand.op), operand.expr)]
        return _operation(COMPARE, node, node.expr, *rest)

    def _binary(self, node: Any) -> nodes.Expr:
        self.generic_visit(node)
        return _operation(_BINARY[type(node)], node, node.left, node.right)

    def _unary(self, node: Any) -> nodes.Expr:
        self.generic_visit(node)
        return _operation(_UNARY[type(node)], node, node.node)

    visit_Add = visit_Sub = visit_Div = _binary
    visit_Neg = visit_Pos = _unary


def walk(node: nodes.Node) -> Iterable[nodes.Node]:
    """All nodes below and including `node`, without recursion."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.iter_child_nodes())


def build(tree: nodes.Template, environment: DataEnvironment) -> Template:
    """Compile a tree that `shared.rendering.rules` has passed; changes the tree."""
    prepared = _Prepare().visit(tree)
    prepared.set_environment(environment)
    code = environment.compile(prepared)
    return Template.from_code(environment, code, {}, None)
