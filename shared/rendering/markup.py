"""Where placeholders stand in HTML. Escaping makes a value text, which is enough in a text and in a quoted attribute
and nowhere else: what stands elsewhere is refused, and a value that begins a link is checked when it is filled in.

Reads the template's own text as browsers do (WHATWG HTML standard, "Tokenization"), in the order of the source. After
an `{% if %}` or a loop, the text goes on from wherever any of its ways ends.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jinja2 import nodes

from shared.errors import InvalidError
from shared.rendering.places import LINK

LINKS = frozenset(
    {
        *(
            "href",
            "xlink:href",
            "src",
            "action",
            "formaction",
            "background",
            "poster",
            "data",
            "cite",
            "longdesc",
            "ping",
        ),
        *("manifest", "lowsrc", "dynsrc", "codebase", "usemap", "profile", "icon"),
    }
)
"""The attributes whose value leads somewhere."""

_RAW = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
"""The elements that hold text alone, up to their end tag."""
_TEXTS = frozenset({"textarea", "title"})
"""Those of them in which a value is a text, too."""
_FOREIGN = frozenset({"svg", "math"})
"""Elements in which browsers read by other rules."""
_UNCLEAR = frozenset({"noscript", "plaintext"})
"""Elements behind which one program is in a text and another in a tag."""
_LOST = "?"
_LOADERS = frozenset(
    {"script", "style", "link", "base", "meta", "iframe", "frame", "object", "embed", "applet", "param"}
)
"""Elements that load something, or change what others mean."""
_MOST_WAYS = 8
_MOST_STEPS = 1_000_000
_TOO_TANGLED = "there are too many ways through the tags around this; write whole tags into the branches of {% if %}"


class PlaceError(InvalidError):
    """A placeholder stands where escaping does not help; the message says where and what to do."""


class _At(NamedTuple):
    """A place in the HTML."""

    place: str
    """`text`, `open` (after <), `element` (its name), `tag` (between attributes), `name`, `named` (after an attribute's
    name), `equals` (before a value), `value`, `comment`, `bogus` (what browsers skip up to >) or `raw`."""
    element: str = ""
    """`element` and `attribute`: lower-case; the element of an end tag begins with /."""
    attribute: str = ""
    quote: str = ""
    """Around the value."""
    link: str = ""
    """In the value of a link, `new` while what was read may be part of its scheme, `filled` if a placeholder is in
    that, and `scheme` from a colon behind that on; else empty."""
    rest: str = ""
    """What was read and does not tell yet what it is."""
    foreign: str = ""
    """The element around it in which other rules count, `?` where nobody can tell any more."""

    def to(self, place: str, element: str = "") -> "_At":
        """Another place in the same surroundings."""
        return _At(place, element, foreign=self.foreign)


_TEXT = _At("text")
_Ways = frozenset[_At]


Spot = tuple[nodes.Output, int]
"""A placeholder: the output that holds it, and its position there."""


def guard(body: Sequence[nodes.Node]) -> None:
    """Have each value that begins a link checked; changes the tree. Raises: PlaceError."""
    for spot, ways in spots(body).items():
        if any(at.link for at in ways):
            put(spot, LINK)


def spots(body: Sequence[nodes.Node]) -> dict[Spot, set[_At]]:
    """The placeholders of a template, in its order, each with the places where it may stand. Raises: PlaceError."""
    scanner = _Scanner()
    scanner.body(body, frozenset({_TEXT}))
    return scanner.spots


def put(spot: Spot, place: str) -> None:
    """Have a placeholder's value go through the filter of a place; changes the tree."""
    output, position = spot
    child = output.nodes[position]
    output.nodes[position] = nodes.Filter(child, place, [], [], None, None, lineno=child.lineno)


class _Scanner:
    """Follows all ways through a template at once, and notes where the placeholders stand."""

    def __init__(self) -> None:
        self.spots: dict[Spot, set[_At]] = {}
        self._known: dict[tuple[int, _At], _At] = {}
        self._steps = 0

    def body(self, body: Sequence[nodes.Node], ways: _Ways) -> _Ways:
        for node in body:
            if isinstance(node, nodes.Output):
                ways = self._output(node, ways)
            elif isinstance(node, nodes.If):
                ends = [self.body(branch.body, ways) for branch in (node, *node.elif_)]
                ways = self._joined(node, *ends, self.body(node.else_, ways))
            elif isinstance(node, nodes.For):
                ways = self._loop(node, ways)
        return ways

    def _loop(self, node: nodes.For, ways: _Ways) -> _Ways:
        reached = ways
        while not (ends := self.body(node.body, reached)) <= reached:
            reached = self._joined(node, reached, ends)
        return self._joined(node, reached, self.body(node.else_, ways))

    def _joined(self, node: nodes.Node, *ends: _Ways) -> _Ways:
        ways: _Ways = frozenset().union(*ends)
        if len(ways) > _MOST_WAYS:
            raise _error(node, _TOO_TANGLED)
        return ways

    def _output(self, node: nodes.Output, ways: _Ways) -> _Ways:
        for position, child in enumerate(node.nodes):
            if isinstance(child, nodes.TemplateData):
                ways = frozenset(self._read(child, at) for at in ways)
                continue
            for at in ways:
                if problem := _problem(at):
                    raise _error(child, problem)
                self.spots.setdefault((node, position), set()).add(at)
            ways = frozenset(at._replace(link=at.link and "filled", rest="") for at in ways)
        return ways

    def _read(self, node: nodes.TemplateData, at: _At) -> _At:
        key = (id(node), at)
        if key not in self._known:
            start, end, text = at._replace(rest=""), 0, at.rest + node.data
            while end < len(text):
                self._steps += 1
                if self._steps > _MOST_STEPS:
                    raise _error(node, _TOO_TANGLED)
                start, end = _READERS[start.place](start, text, end)
            self._known[key] = start
        return self._known[key]


def _error(node: nodes.Node, message: str) -> PlaceError:
    return PlaceError(f"line {node.lineno}: {message}")


def _problem(at: _At) -> str:
    """Why no placeholder may stand there, and what to do; nothing if one may."""
    if at.foreign:
        return _unclear(at.foreign)
    if at.place == "raw" and at.element not in _TEXTS:
        return _in_raw(at.element)
    if at.place == "equals" or (at.place == "value" and not at.quote):
        return f'put the value of {at.attribute} in quotes: {at.attribute}="{{{{ ... }}}}"'
    if at.place == "open":
        return "a placeholder right after < could begin a tag; write the tag out, or &lt; for the sign itself"
    if at.place in {"element", "tag", "name", "named"}:
        return (
            "within a tag, a placeholder may stand in the value of an attribute only; write the attribute out, "
            "with {% if %} around it if it may be missing"
        )
    return _in_value(at) if at.place == "value" else ""


def _unclear(foreign: str) -> str:
    if foreign == _LOST:
        return (
            "programs disagree on what stands here: leave out the <noscript> or <plaintext> before it, or the <svg> or "
            "<math> that holds another one, a style or a title"
        )
    return f"a placeholder within <{foreign}> would be read by other rules than HTML's; show an image, with <img>"


def _in_raw(element: str) -> str:
    if element == "script":
        return "a placeholder within <script> could run as a program; leave the script out, mail programs run none"
    if element == "style":
        return f"a placeholder within <style> {_STYLES}"
    return f"a placeholder within <{element}> may be read as markup; leave the element out"


_STYLES = (
    "could hide texts or load something from elsewhere; write the styles out, and choose between them with {% if %}"
)


def _in_value(at: _At) -> str:
    """Why no placeholder may stand in the value of an attribute."""
    if at.attribute.startswith("on"):
        return f"a placeholder in {at.attribute} could run as a program; leave the attribute out"
    if at.attribute == "srcdoc":
        return "a placeholder in srcdoc would be read as markup; leave the attribute out"
    if at.attribute == "style":
        return f"a placeholder in style {_STYLES}"
    if at.attribute in {"srcset", "imagesrcset"}:
        return f"a placeholder in {at.attribute} could hold several links; give the image by src"
    if at.element in _LOADERS:
        return f"a placeholder within <{at.element}> could load something from elsewhere; write the element out"
    if at.link == "scheme":
        return "write what the link begins with, such as https:, into the template"
    return ""


# Each reads on from `start` in its place, and returns where that leads and how far it has read.
_Step = tuple[_At, int]
_ELEMENT = re.compile(r"[^ \t\n\r\f/>]*")
_BETWEEN = re.compile(r"[ \t\n\r\f/]*")
# An equals sign that begins a name is part of it.
_NAME = re.compile(r"=?[^ \t\n\r\f/>=]*")
_MORE_NAME = re.compile(r"[^ \t\n\r\f/>=]*")
_BLANKS = re.compile(r"[ \t\n\r\f]*")
_UNQUOTED = re.compile(r"[^ \t\n\r\f>]*")
_COMMENT_END = re.compile(r"--!?>")
_COMMENT_MAY_END = re.compile(r"--?!?\Z")
# Outlook reads on within: <!--[if mso]> ... <![endif]-->
_CONDITIONAL = re.compile(r"\[if[^\]>]*\]>", re.IGNORECASE)
# With what a character reference is made of, which may be part of a scheme as well.
_SCHEME_PART = re.compile(r"[\x00-\x20a-zA-Z0-9+.\-&#;]*")


def _text(at: _At, text: str, start: int) -> _Step:
    found = text.find("<", start)
    return (at, len(text)) if found < 0 else (at.to("open"), found + 1)


def _open(at: _At, text: str, start: int) -> _Step:
    begun = text[start : start + 3]
    if begun in {"/", "!", "!-"} and start + len(begun) == len(text):
        return at._replace(rest=begun), len(text)
    if begun == "!--":
        start += 3
        if found := _CONDITIONAL.match(text, start):
            return at.to("text"), found.end()
        closed = next((end for end in (">", "->") if text.startswith(end, start)), "")
        return (at.to("text"), start + len(closed)) if closed else (at.to("comment"), start)
    slash = begun.startswith("/")
    if begun[slash : slash + 1].isascii() and begun[slash : slash + 1].isalpha():
        return at.to("element", "/" if slash else ""), start + slash
    if begun[0] not in "!/?":
        return at.to("text"), start
    # Within <svg> and <math>, <![CDATA[ ends elsewhere.
    return (at._replace(foreign=_LOST) if at.foreign and begun[0] == "!" else at).to("bogus"), start


def _element(at: _At, text: str, start: int) -> _Step:
    end = _matched(_ELEMENT, text, start)
    at = at._replace(element=at.element + text[start:end].lower())
    return (at, end) if end == len(text) else (at._replace(place="tag"), end)


def _tag(at: _At, text: str, start: int) -> _Step:
    end = _matched(_BETWEEN, text, start)
    if end == len(text):
        return at, end
    return _closed(at, end) if text[end] == ">" else (at._replace(place="name"), end)


def _name(at: _At, text: str, start: int) -> _Step:
    end = _matched(_MORE_NAME if at.attribute else _NAME, text, start)
    at = at._replace(attribute=at.attribute + text[start:end].lower())
    return (at, end) if end == len(text) else (at._replace(place="named"), end)


def _named(at: _At, text: str, start: int) -> _Step:
    end = _matched(_BLANKS, text, start)
    if end == len(text):
        return at, end
    if text[end] == "=":
        return at._replace(place="equals"), end + 1
    return at.to("tag", at.element), end


def _equals(at: _At, text: str, start: int) -> _Step:
    end = _matched(_BLANKS, text, start)
    if end == len(text):
        return at, end
    if text[end] == ">":
        return _closed(at, end)
    quote = text[end] if text[end] in "\"'" else ""
    link = "new" if at.attribute in LINKS or at.attribute.endswith(":href") else ""
    return at._replace(place="value", quote=quote, link=link), end + len(quote)


def _value(at: _At, text: str, start: int) -> _Step:
    end = text.find(at.quote, start) if at.quote else _matched(_UNQUOTED, text, start)
    if end < 0 or end == len(text):
        return at._replace(link=_link(at.link, text[start:])), len(text)
    return at.to("tag", at.element), end + len(at.quote)


def _link(link: str, read: str) -> str:
    """How far a link's value has come after more of it."""
    if link not in {"new", "filled"}:
        return link
    end = _matched(_SCHEME_PART, read, 0)
    if end == len(read):
        return link
    return "scheme" if link == "filled" and read[end] == ":" else ""


def _comment(at: _At, text: str, start: int) -> _Step:
    if found := _COMMENT_END.search(text, start):
        return at.to("text"), found.end()
    rest = _COMMENT_MAY_END.search(text, max(start, len(text) - 3))
    return at._replace(rest=rest[0] if rest else ""), len(text)


def _bogus(at: _At, text: str, start: int) -> _Step:
    found = text.find(">", start)
    return (at, len(text)) if found < 0 else (at.to("text"), found + 1)


def _raw(at: _At, text: str, start: int) -> _Step:
    end_tag = f"</{at.element}"
    found = re.compile(rf"{end_tag}(?=[ \t\n\r\f/>])", re.IGNORECASE).search(text, start)
    if found:
        return at.to("tag", f"/{at.element}"), found.end()
    begun = text[max(text.rfind("<"), start) :]
    return at._replace(rest=begun if end_tag.startswith(begun.lower()) else ""), len(text)


def _closed(at: _At, end: int) -> _Step:
    """Behind the > of a tag."""
    at = at._replace(foreign=_surroundings(at.foreign, at.element))
    raw = at.element in _RAW and not at.foreign
    return at.to("raw", at.element) if raw else at.to("text"), end + 1


def _surroundings(foreign: str, element: str) -> str:
    """What is around the text behind a tag."""
    if foreign == _LOST or element in _UNCLEAR:
        return _LOST
    if not foreign:
        return element if element in _FOREIGN else ""
    if element in _RAW or element in _FOREIGN:
        return _LOST
    return "" if element == f"/{foreign}" else foreign


def _matched(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()


_READERS = {
    "text": _text,
    "open": _open,
    "element": _element,
    "tag": _tag,
    "name": _name,
    "named": _named,
    "equals": _equals,
    "value": _value,
    "comment": _comment,
    "bogus": _bogus,
    "raw": _raw,
}
