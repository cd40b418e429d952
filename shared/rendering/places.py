"""What is done to a value by the place where it stands, so that it stays a value there: the last step of a placeholder
in a link, and anywhere in a WeCom message, whose clients read markup in texts.

WeCom documents no way to escape a character, so the ones that mean something become their full-width twins, which mean
nothing and look the same to a reader.
"""

import re
from typing import Any
from urllib.parse import quote

from shared.policy.links import LinkError, check_link, is_web_address
from shared.rendering.meter import SCALARS, ShapeError, size_of
from shared.rendering.words import Cost, Operation

LINK, LABEL, MARKDOWN, FORMATTED, ATTRIBUTE, BEGINS, CONTINUES, MENTION = (
    *(
        " a link",
        " a text",
        " Markdown",
        "markdown",
        " an attribute",
        " the beginning of a link",
        " the rest of a link",
    ),
    " a mention",
)
"""The filters of places; no name in a template can hold a blank.

link: a value with which a link in HTML begins. label: a text in a WeCom message. markdown: the same in Markdown.
formatted: the filter `markdown`, for a text whose own formatting is wanted. attribute: within the quotes of an
attribute in a WeCom message. begins, continues: within a link in a WeCom message.
mention: a name in `<@...>`.
"""

_LABEL = {"<": "＜"}
_MARKUP = {**_LABEL, "[": "［", "]": "］"}
_LABELS, _MARKUPS = str.maketrans(_LABEL), str.maketrans(_MARKUP)
_MARKDOWN = str.maketrans({**_MARKUP, "*": "＊", "`": "｀"})
_ATTRIBUTE = str.maketrans({**_LABEL, ">": "＞", '"': "＂", "'": "＇"})
# A heading and a quote begin where a line does.
_LINE_START = re.compile(r"(^|[\r\n])([ \t]*)([#>])")
_LINE_TWINS = {"#": "＃", ">": "＞"}
# The value might follow a bracket that the template wrote, and make a link of it.
_BRACKET = re.compile(r"\A\(")
_MENTION = re.compile(r"[A-Za-z0-9_.@\-]{1,64}\Z")
_URL_SAFE = "!#$%&*+,-./:;=?@_~"


def _label(value: Any) -> Any:
    return value.translate(_LABELS) if isinstance(value, str) else value


def _attribute(value: Any) -> Any:
    return value.translate(_ATTRIBUTE) if isinstance(value, str) else value


def _markdown(value: Any) -> Any:
    return _unlinked(_LINE_START.sub(_twin, value.translate(_MARKDOWN))) if isinstance(value, str) else value


def _twin(found: re.Match[str]) -> str:
    return found[1] + found[2] + _LINE_TWINS[found[3]]


def _unlinked(text: str) -> str:
    return _BRACKET.sub("（", text)


def formatted(value: Any) -> Any:
    """A value whose bold, quotes, headings and code count, and nothing that leads somewhere or calls somebody."""
    return _unlinked(value.translate(_MARKUPS)) if isinstance(value, str) else value


def _begins(value: Any) -> Any:
    if not is_web_address(value):
        raise LinkError("a link in a WeCom message must begin with http:// or https://")
    return _continues(value)


def _continues(value: Any) -> Any:
    return quote(str(value), safe=_URL_SAFE, errors="replace")


def _mention(value: Any) -> Any:
    if not _MENTION.match(str(value)):
        raise ShapeError("a value in <@...> must be the id of one person")
    return value


_READ = Cost("15 times the characters", lambda value: 15 * size_of(value))
_LED = Cost("30 times the characters", lambda value: 30 * size_of(value))
PLACES: dict[str, Operation] = {
    LINK: Operation(SCALARS, _LED, check_link),
    LABEL: Operation(SCALARS, _READ, _label),
    MARKDOWN: Operation(SCALARS, _READ, _markdown),
    FORMATTED: Operation(SCALARS, _READ, formatted),
    ATTRIBUTE: Operation(SCALARS, _READ, _attribute),
    BEGINS: Operation(SCALARS, _LED, _begins),
    CONTINUES: Operation(SCALARS, _LED, _continues),
    MENTION: Operation(SCALARS, _READ, _mention),
}
"""What is done to a value by its place."""
