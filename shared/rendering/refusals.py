"""What a template is refused for, in words: what may not be written, and what to do instead."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from jinja2 import nodes

from shared.errors import InvalidError
from shared.rendering.words import Operation

_RESERVED = frozenset({"loop", "self", "super", "caller", "varargs", "kwargs"})
_ARITHMETIC = "is not allowed; work the value out before you send it"
_VARIABLES = "is not allowed; give the value as a variable"
_ONE_TEMPLATE = "is not allowed; write the whole content in one template"
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "calling something with ( ) is not allowed; use filters, such as {{ name | upper }}",
    nodes.Mul: f"* {_ARITHMETIC}",
    nodes.Pow: f"** {_ARITHMETIC}",
    nodes.Mod: f"% {_ARITHMETIC}",
    nodes.FloorDiv: f"// {_ARITHMETIC}",
    nodes.Slice: "a slice such as [:3] is not allowed; use first, last or truncate",
    nodes.List: f"a list {_VARIABLES}",
    nodes.Tuple: f"a list {_VARIABLES}",
    nodes.Dict: f"an object {_VARIABLES}",
    nodes.Assign: f"set {_VARIABLES}",
    nodes.AssignBlock: f"set {_VARIABLES}",
    nodes.With: f"with {_VARIABLES}",
    nodes.NSRef: f"a namespace {_VARIABLES}",
    nodes.FilterBlock: "a filter block is not allowed; use the filter in a placeholder, such as {{ name | upper }}",
    nodes.Scope: "autoescape is not allowed; values are always escaped in HTML and never elsewhere",
    nodes.Macro: f"macro {_ONE_TEMPLATE}",
    nodes.CallBlock: f"call {_ONE_TEMPLATE}",
    nodes.Block: f"block {_ONE_TEMPLATE}",
    nodes.Extends: f"extends {_ONE_TEMPLATE}",
    nodes.Include: f"include {_ONE_TEMPLATE}",
    nodes.Import: f"import {_ONE_TEMPLATE}",
    nodes.FromImport: f"import {_ONE_TEMPLATE}",
}


class RuleError(InvalidError):
    """The template breaks a rule; the message says where and what to do instead."""


def error_at(node: nodes.Node, message: str) -> RuleError:
    """An error of a line."""
    return RuleError(f"line {node.lineno}: {message}" if node.lineno else message)


def bind(node: nodes.Filter | nodes.Test, operation: Operation) -> None:
    """Look whether a filter or test takes arguments of that number and these names. Raises: RuleError."""
    given = {str(pair.key): pair.value for pair in node.kwargs}
    try:
        operation.signature.bind(None, *node.args, **given)
    except TypeError:
        names = [name for name in operation.signature.parameters if name not in {"value", "container"}]
        wanted = f"may have {listed(names)}" if names else "has no arguments"
        raise error_at(node, f"{node.name} {wanted}") from None


def check_name(node: nodes.Name) -> None:
    """Look whether a name may be a variable's. Raises: RuleError."""
    if node.name in _RESERVED:
        raise error_at(node, f"`{node.name}` is not a variable here; choose another name")
    if node.name.startswith("_"):
        raise error_at(node, "names that begin with _ are not allowed")
    # Python would take two spellings for one name.
    if unicodedata.normalize("NFKC", node.name) != node.name:
        raise error_at(node, "write the variable's name with plain letters, not full-width or joined ones")


def refused(node: nodes.Node) -> RuleError:
    """The error of what may not be written at all."""
    return error_at(node, _REFUSED.get(type(node), f"{type(node).__name__.lower()} is not allowed"))


def listed(names: Sequence[str] | frozenset[str] | dict[str, Any]) -> str:
    """Names in words."""
    return ", ".join(sorted(names))
