"""What may be written in a template: a list of what is allowed, so that no template can run long or reach anything.

Output, if/elif/else, `for` over a variable, comparisons, + - / and ~, and fixed lists of filters and tests. No way is
left to make a value grow: no multiplication, no calls, no `set`. On the way, a template's variables are found.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple

from jinja2 import Template, TemplateSyntaxError, nodes
from msgspec import Struct, field
from msgspec.structs import replace

from shared.rendering.engine import HTML, TEXT, DataEnvironment, build, walk
from shared.rendering.markup import PlaceError
from shared.rendering.markup import guard as guard_html
from shared.rendering.meter import STEP
from shared.rendering.places import FORMATTED, PLACES
from shared.rendering.refusals import RuleError, bind, check_name, error_at, listed, refused
from shared.rendering.wecom import guard as guard_wecom
from shared.rendering.words import FILTERS, TESTS

MAX_DEPTH = 30
MAX_LOOPS_DEEP = 2
MAX_NODES = 4_000
MAX_FILTERS = 400
MAX_TOKENS = 40_000
"""Nodes, filters and tokens of all parts of one content together; `default` costs nothing and is not counted."""

_LOOP_COUNTERS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_TOO_MANY = f"the content holds too many placeholders and expressions (over {MAX_NODES:,} parts)"


class Allowance(Struct):
    """What the parts of one content may still hold."""

    nodes: int = MAX_NODES
    filters: int = MAX_FILTERS
    tokens: int = MAX_TOKENS


class Dialect(Enum):
    """What a string is read as by whoever gets it: a text, HTML, or a text or Markdown in a WeCom message."""

    TEXT = "text"
    HTML = "html"
    WECOM = "wecom"
    MARKDOWN = "markdown"


class Blank(NamedTuple):
    """A placeholder that only shows a variable."""

    name: str
    line: int
    place: str = ""
    """The filter of the place where it stands; empty for none."""
    default: str | None = None
    """Instead of a missing one; None if it is required."""


class Checked(Struct, frozen=True):
    """A template that may run."""

    tree: nodes.Template
    html: bool
    required: tuple[str, ...]
    """`required` and `optional`: its variables, by first use."""
    optional: tuple[str, ...]
    loops: bool
    """Whether it has any."""
    work: int
    """What a rendering pays for its parts, besides what the operations and the loops cost."""

    def build(self) -> Template:
        """Compile it; once only, since this uses the tree up."""
        return build(self.tree, _environment(self.html))

    def pieces(self) -> "list[str | Blank] | None":
        """Its texts and placeholders in order, if it consists of nothing else."""
        found: list[str | Blank] = []
        for statement in self.tree.body:
            if not isinstance(statement, nodes.Output):
                return None
            for node in statement.nodes:
                if isinstance(node, nodes.TemplateData):
                    found.append(node.data)
                elif (blank := _blank(node)) is not None:
                    found.append(blank)
                else:
                    return None
        return found


def _blank(node: nodes.Node) -> Blank | None:
    """A placeholder that only shows a variable; None for any other."""
    place, default = "", None
    if isinstance(node, nodes.Filter) and node.name in PLACES and node.node is not None:
        place, node = node.name, node.node
    if isinstance(node, nodes.Filter) and node.name in {"default", "d"} and node.node is not None:
        default = _only_text(node)
        if default is None:
            return None
        node = node.node
    return Blank(node.name, node.lineno, place, default) if isinstance(node, nodes.Name) else None


def _only_text(node: nodes.Filter) -> str | None:
    """The only argument of a filter, if it is a text that is written out."""
    only = node.args[0] if len(node.args) == 1 and not node.kwargs else None
    return only.value if isinstance(only, nodes.Const) and isinstance(only.value, str) else None


def _environment(html: bool) -> DataEnvironment:
    return HTML if html else TEXT


def has_placeholders(source: str) -> bool:
    """Whether a text is a template at all."""
    return "{{" in source or "{%" in source or "{#" in source


def check(source: str, dialect: Dialect, allowance: Allowance) -> Checked:
    """Read a template and check it against the rules; takes what it holds off `allowance`.

    Raises: RuleError.
    """
    html = dialect is Dialect.HTML
    tree = _parse(source, _environment(html), allowance)
    steps = _measure(tree, allowance)
    finder = _Finder(dialect is Dialect.MARKDOWN)
    finder.statements(tree.body, _Scope())
    optional = tuple(name for name in finder.optional if name not in finder.required)
    try:
        _guard(tree, dialect)
    except PlaceError as error:
        raise RuleError(str(error)) from None
    return Checked(tree, html, tuple(finder.required), optional, finder.loops, steps * STEP)


def _guard(tree: nodes.Template, dialect: Dialect) -> None:
    if dialect is Dialect.HTML:
        guard_html(tree.body)
    elif dialect is not Dialect.TEXT:
        guard_wecom(tree.body, dialect is Dialect.MARKDOWN)


def _parse(source: str, environment: DataEnvironment, allowance: Allowance) -> nodes.Template:
    try:
        # Telling tokens apart is cheap and can be stopped; parsing what 200,000 characters may hold takes seconds.
        tokens = environment.lexer.tokeniter(source, None)
        allowance.tokens -= sum(1 for _ in islice(tokens, allowance.tokens + 1))
        if allowance.tokens < 0:
            raise RuleError(_TOO_MANY)
        return environment.parse(source)
    except TemplateSyntaxError as error:
        raise RuleError(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise RuleError("is nested too deeply") from None
    except (ValueError, SyntaxError, OverflowError, MemoryError):
        # The reader trusts Python with numbers and escapes, which it may refuse.
        raise RuleError("holds a number or text that cannot be read") from None


def _measure(tree: nodes.Template, allowance: Allowance) -> int:
    """Refuse what is too large or deep, before anything walks it by recursion; returns its parts."""
    steps = 0
    for node in walk(tree):
        steps += 1
        allowance.nodes -= not isinstance(node, nodes.TemplateData)
        allowance.filters -= isinstance(node, nodes.Filter) and node.name not in {"default", "d"}
    if allowance.nodes < 0:
        raise RuleError(_TOO_MANY)
    if allowance.filters < 0:
        raise RuleError(f"the content uses more than {MAX_FILTERS} filters")
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise error_at(level[0], "is nested too deeply")
    return steps


class _Scope(Struct, frozen=True):
    """Where an expression stands."""

    local: frozenset[str] = frozenset()
    """Loop variables."""
    given: frozenset[str] = frozenset()
    """Names that an `is defined` around it vouches for."""
    loops: int = 0

    def vouched(self, names: frozenset[str]) -> "_Scope":
        return replace(self, given=self.given | names) if names else self


_Names = frozenset[str]
_NONE: _Names = frozenset()


class _Finder(Struct):
    """Walks a tree of bounded depth, refuses what is not allowed and notes the variables."""

    markdown: bool = False
    """Whether the filter of that name may stand last in a placeholder."""
    required: dict[str, None] = field(default_factory=dict)
    optional: dict[str, None] = field(default_factory=dict)
    loops: bool = False

    def statements(self, body: Sequence[nodes.Node], scope: _Scope) -> None:
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    if not isinstance(child, nodes.TemplateData):
                        self._placeholder(child, scope)
            elif isinstance(node, nodes.If):
                self._if(node, scope)
            elif isinstance(node, nodes.For):
                self._for(node, scope)
            else:
                raise refused(node)

    def _placeholder(self, node: nodes.Node, scope: _Scope) -> None:
        if self.markdown and isinstance(node, nodes.Filter) and node.name == FORMATTED and node.node is not None:
            bind(node, PLACES[FORMATTED])
            node = node.node
        self.expression(node, scope)

    def _if(self, node: nodes.If, scope: _Scope) -> None:
        for branch in (node, *node.elif_):
            self.expression(branch.test, scope)
            when_true, when_false = _vouches(branch.test)
            self.statements(branch.body, scope.vouched(when_true))
            scope = scope.vouched(when_false)
        self.statements(node.else_, scope)

    def _for(self, node: nodes.For, scope: _Scope) -> None:
        self.loops = True
        if scope.loops == MAX_LOOPS_DEEP:
            raise error_at(node, f"at most {MAX_LOOPS_DEEP} loops may stand within each other")
        if node.recursive:
            raise error_at(node, "a recursive loop is not allowed; put a loop into the loop")
        if node.test is not None:
            raise error_at(node, "a loop with a condition is not allowed; put an {% if %} into the loop")
        if not isinstance(node.target, nodes.Name):
            raise error_at(node, "a loop has one variable; reach its parts with a dot, such as item.name")
        if not isinstance(node.iter, nodes.Name | nodes.Getattr | nodes.Getitem):
            raise error_at(node, "a loop goes over a variable, such as {% for item in items %}")
        self.expression(node.iter, scope)
        check_name(node.target)
        local = scope.local | {node.target.name}
        self.statements(node.body, replace(scope, local=local, loops=scope.loops + 1))
        self.statements(node.else_, scope)

    def expression(self, node: nodes.Node, scope: _Scope) -> None:
        visit = _EXPRESSIONS.get(type(node))
        if visit is None:
            raise refused(node)
        visit(self, node, scope)

    def children(self, node: nodes.Node, scope: _Scope) -> None:
        for child in node.iter_child_nodes():
            self.expression(child, scope)

    def name(self, node: nodes.Name, scope: _Scope, may_lack: bool = False) -> None:
        if node.name in scope.local:
            return
        check_name(node)
        (self.optional if may_lack or node.name in scope.given else self.required).setdefault(node.name)

    def lenient(self, node: nodes.Node, scope: _Scope) -> None:
        """An expression whose value may be missing."""
        if isinstance(node, nodes.Name):
            self.name(node, scope, may_lack=True)
        else:
            self.expression(node, scope)

    def constant(self, node: nodes.Const, _scope: _Scope) -> None:
        if node.value is None:
            raise error_at(node, "none is not allowed; null counts as missing: use `is defined` or default")
        if isinstance(node.value, int) and node.value.bit_length() > 64:
            raise error_at(node, "the number is too large")

    def attribute(self, node: nodes.Getattr, scope: _Scope) -> None:
        if isinstance(node.node, nodes.Name) and node.node.name == "loop" and scope.loops:
            if node.attr not in _LOOP_COUNTERS:
                raise error_at(node, f"loop has {listed(_LOOP_COUNTERS)} only")
            return
        if node.attr.startswith("_"):
            raise error_at(node, "names that begin with _ are not allowed")
        self.expression(node.node, scope)

    def item(self, node: nodes.Getitem, scope: _Scope) -> None:
        if isinstance(node.arg, nodes.Const) and str(node.arg.value).startswith("_"):
            raise error_at(node, "names that begin with _ are not allowed")
        self.children(node, scope)

    def filter(self, node: nodes.Filter, scope: _Scope) -> None:
        if node.name == "safe":
            raise error_at(node, "safe is not allowed: values are always escaped in HTML; write the markup yourself")
        if node.name == FORMATTED:
            raise error_at(node, "markdown may stand last in a placeholder of WeCom's markdown alone")
        if node.name not in FILTERS or node.node is None:
            raise error_at(node, f"there is no filter {node.name}; there are {listed(FILTERS)}")
        bind(node, FILTERS[node.name])
        self._arguments(node, scope)
        (self.lenient if node.name in {"default", "d"} else self.expression)(node.node, scope)

    def test(self, node: nodes.Test, scope: _Scope) -> None:
        if node.name not in TESTS:
            raise error_at(node, f"there is no test {node.name}; there are {listed(TESTS)}")
        bind(node, TESTS[node.name])
        self._arguments(node, scope)
        (self.lenient if node.name in {"defined", "undefined", "none"} else self.expression)(node.node, scope)

    def _arguments(self, node: nodes.Filter | nodes.Test, scope: _Scope) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise error_at(node, "* and ** are not allowed")
        for argument in (*node.args, *(pair.value for pair in node.kwargs)):
            self._member_of(argument, scope) if node.name == "in" else self.expression(argument, scope)

    def both(self, node: nodes.And | nodes.Or, scope: _Scope) -> None:
        self.expression(node.left, scope)
        when_true, when_false = _vouches(node.left)
        self.expression(node.right, scope.vouched(when_true if isinstance(node, nodes.And) else when_false))

    def choice(self, node: nodes.CondExpr, scope: _Scope) -> None:
        if node.expr2 is None:
            raise error_at(node, "an if within a placeholder needs its else, such as {{ a if b else '' }}")
        self.expression(node.test, scope)
        when_true, when_false = _vouches(node.test)
        self.expression(node.expr1, scope.vouched(when_true))
        self.expression(node.expr2, scope.vouched(when_false))

    def comparison(self, node: nodes.Compare, scope: _Scope) -> None:
        self.expression(node.expr, scope)
        for operand in node.ops:
            if operand.op in {"in", "notin"}:
                self._member_of(operand.expr, scope)
            else:
                self.expression(operand.expr, scope)

    def _member_of(self, node: nodes.Node, scope: _Scope) -> None:
        """What may stand behind `in`: besides a variable, a list of constants."""
        if isinstance(node, nodes.List | nodes.Tuple) and all(isinstance(i, nodes.Const) for i in node.items):
            self.children(node, scope)
        else:
            self.expression(node, scope)


_EXPRESSIONS: dict[type[nodes.Node], Callable[[_Finder, Any, _Scope], None]] = {
    nodes.Name: _Finder.name,
    nodes.Const: _Finder.constant,
    nodes.Getattr: _Finder.attribute,
    nodes.Getitem: _Finder.item,
    nodes.Filter: _Finder.filter,
    nodes.Test: _Finder.test,
    nodes.And: _Finder.both,
    nodes.Or: _Finder.both,
    nodes.CondExpr: _Finder.choice,
    nodes.Compare: _Finder.comparison,
    **dict.fromkeys((nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Div, nodes.Concat), _Finder.children),
}


def _vouches(test: nodes.Node) -> tuple[_Names, _Names]:
    """The names that are certainly given where a test is true, and where it is false."""
    if isinstance(test, nodes.Not):
        when_true, when_false = _vouches(test.node)
        return when_false, when_true
    if isinstance(test, nodes.And):
        return _vouches(test.left)[0] | _vouches(test.right)[0], _NONE
    if isinstance(test, nodes.Or):
        return _NONE, _vouches(test.left)[1] | _vouches(test.right)[1]
    if isinstance(test, nodes.Test) and isinstance(test.node, nodes.Name):
        names = frozenset({test.node.name})
        if test.name == "defined":
            return names, _NONE
        if test.name in {"undefined", "none"}:
            return _NONE, names
    return _NONE, _NONE
