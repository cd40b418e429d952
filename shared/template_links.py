"""Values that begin a link in HTML: escaping does not stop `javascript:`, so these are held to schemes that only lead
somewhere."""

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import nodes

SCHEMES = ("http", "https", "mailto", "tel", "sms", "cid")
"""What a link may begin with; one without a scheme is let through."""
LINK = " link"
"""The filter that checks a value; no name in a template can hold a blank."""

_BEGINS_LINK = re.compile(
    r"""[\s"'](?:href|src|srcset|action|formaction|background|poster|data)\s*=\s*["']?\s*\Z""", re.IGNORECASE
)
# What browsers leave out before they read a scheme (WHATWG URL standard, "basic URL parser").
_LEFT_OUT = re.compile(r"[\x00-\x20]+")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")


class LinkError(Exception):
    """A value would make a link do something else than lead somewhere."""


def check_link(value: Any) -> Any:
    """The value itself. Raises: LinkError if it begins with a scheme that is not allowed."""
    found = _SCHEME.match(_LEFT_OUT.sub("", str(value)[:2000]))
    if found and found[1].lower() not in SCHEMES:
        raise LinkError(f"a link may begin with {', '.join(f'{s}:' for s in SCHEMES)} or no scheme, not with another")
    return value


def guard_links(body: Sequence[nodes.Node], begins: bool = False) -> None:
    """Have each value that begins a link checked; changes the tree. begins: whether a link begins before `body`."""
    for node in body:
        if isinstance(node, nodes.Output):
            begins = _guard_output(node, begins)
        elif isinstance(node, nodes.If):
            for branch in (node, *node.elif_):
                guard_links(branch.body, begins)
            guard_links(node.else_, begins)
        elif isinstance(node, nodes.For):
            guard_links(node.body, begins)
            guard_links(node.else_, begins)


def _guard_output(node: nodes.Output, begins: bool) -> bool:
    for position, child in enumerate(node.nodes):
        if isinstance(child, nodes.TemplateData):
            begins = bool(_BEGINS_LINK.search(child.data)) or (begins and not child.data.strip())
        elif begins:
            node.nodes[position] = nodes.Filter(child, LINK, [], [], None, None, lineno=child.lineno)
    return begins
