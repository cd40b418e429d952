"""Where placeholders stand in a text of a WeCom message, and what keeps a value a value there."""

import re
from collections.abc import Sequence

from jinja2 import nodes

from shared.rendering.markup import PlaceError, Spot, put, spots
from shared.rendering.places import ATTRIBUTE, BEGINS, CONTINUES, FORMATTED, LABEL, MARKDOWN, MENTION

_OPEN_LINK = re.compile(r"\]\(([^()\s]*)\Z")
"""A Markdown link that has begun, with what has been written of it."""
_OPEN_MENTION = re.compile(r"<@[^<>\s]*\Z")
_MARK = "\ufffc"
"""Stands for a placeholder in what has been written."""
_LOOK_BACK = 4_000


def guard(body: Sequence[nodes.Node], markdown: bool) -> None:
    """Have each value go through what its place asks for; changes the tree. Raises: PlaceError."""
    written = _written(body) if markdown else {}
    for spot, ways in spots(body).items():
        places = {_of_tag(at.attribute if at.place == "value" else "", at.link) for at in ways}
        if len(places) > 1:
            message = "this may stand in a tag or outside; write whole tags into the branches of {% if %}"
            raise PlaceError(f"line {spot[0].nodes[spot[1]].lineno}: {message}")
        place = places.pop() or (_of_markdown(written[spot], spot) if markdown else LABEL)
        if place:
            put(spot, place)


def _of_tag(attribute: str, link: str) -> str:
    """The place within a tag; empty for none."""
    if not attribute:
        return ""
    return ATTRIBUTE if not link and attribute != "href" else BEGINS if link else CONTINUES


def _of_markdown(written: str, spot: Spot) -> str:
    """The place in a Markdown text; empty where the template's own filter does what is needed."""
    if _OPEN_MENTION.search(written):
        return MENTION
    if found := _OPEN_LINK.search(written):
        own = found[1].replace(_MARK, "")
        return CONTINUES if ":" in own or "/" in own else BEGINS
    child = spot[0].nodes[spot[1]]
    return "" if isinstance(child, nodes.Filter) and child.name == FORMATTED else MARKDOWN


def _written(body: Sequence[nodes.Node]) -> dict[Spot, str]:
    """For each placeholder, what the template has before it, in the order of its source."""
    found: dict[Spot, str] = {}
    before = ""
    for output in (each for node in body for each in (node, *node.find_all(nodes.Output))):
        if not isinstance(output, nodes.Output):
            continue
        for position, child in enumerate(output.nodes):
            if isinstance(child, nodes.TemplateData):
                before = (before + child.data)[-_LOOK_BACK:]
            else:
                found[output, position] = before
                before += _MARK
    return found
