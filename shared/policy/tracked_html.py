"""Finds the links of an HTML mail, and puts others in their place. Pure, and linear in the length of the mail.

Only the value of `href` in tags `<a …>` is touched, so that a mail that is broken stays broken in its own way.
"""

import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from html.entities import html5
from typing import Final

from shared.policy.links import is_web_address

UNTRACKED: Final = "data-untracked"
"""An attribute of `<a>` by which a template has a link lead straight on."""
ACKNOWLEDGES: Final = "data-acknowledges"
"""An attribute of `<a>` by which a template has a link ask whether its recipient has the message."""
_ANCHOR = re.compile(r"<a(?=[\s/])", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""[\s/]+([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")
_REFERENCE = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});?|([A-Za-z][A-Za-z0-9]{0,40};?))")
_END_OF_TAG = re.compile(r"[\s/]*>")
_END_OF_BODY = re.compile(r"</body\s*>", re.IGNORECASE)


def with_links(html: str, link_of: Callable[[str, bool], str | None]) -> str:
    """The mail with other links. link_of: from where a link leads, and whether it acknowledges, to the other one; None
    leaves it as it is."""
    found: list[str] = []
    copied = 0
    for href, target, acknowledges in _hrefs(html):
        other = link_of(target, acknowledges) if is_web_address(target) else None
        if other is not None:
            # On a line of its own: one of more than 998 bytes would cost a mail its place among fifty.
            found += (html[copied : href.start()], f'\nhref="{escape(other)}"')
            copied = href.end()
    found.append(html[copied:])
    return "".join(found)


def links_in(html: str) -> Iterator[str]:
    """Where the links of a mail, or of its template, lead; without those that say that they are not tracked."""
    return (target for _, target, _ in _hrefs(html))


def _hrefs(html: str) -> Iterator[tuple[re.Match[str], str, bool]]:
    read = 0
    for anchor in _ANCHOR.finditer(html):
        if anchor.start() < read:
            continue
        href, names, read = _href(html, anchor.end())
        if href is not None:
            yield href, _read(href[2].strip("\"'")).strip(), ACKNOWLEDGES in names


def with_picture(html: str, url: str) -> str:
    """The mail with a picture of one pixel at its end, which nobody sees and no screen reader reads."""
    picture = f'<img src="{escape(url)}" alt="" width="1" height="1" style="border:0;width:1px;height:1px">'
    ends = list(_END_OF_BODY.finditer(html))
    if not ends:
        return f"{html}\n{picture}"
    at = ends[-1].start()
    return f"{html[:at]}\n{picture}\n{html[at:]}"


def _read(value: str) -> str:
    """The value of an attribute as browsers read it: `&region=` and `&copy=` in a URL are no characters."""
    return _REFERENCE.sub(_character, value)


def _character(found: re.Match[str]) -> str:
    """The HTML standard, "Named character reference state": within an attribute, one without a semicolon is none if a
    letter, a digit or `=` follows."""
    name = found[1]
    if name is None:
        return unescape(found[0])
    bare = not name.endswith(";") and found.string[found.end() : found.end() + 1] == "="
    return found[0] if bare or name not in html5 else html5[name]


def _href(html: str, at: int) -> tuple[re.Match[str] | None, set[str], int]:
    """(the first `href` of a tag whose attributes begin at a place, None if not to be tracked; the names of its
    attributes; where they end)."""
    href, names = None, set()
    while (attribute := _ATTRIBUTE.match(html, at)) is not None:
        name = attribute[1].lower()
        if name == "href" and href is None and attribute[2] is not None:
            href = attribute
        names.add(name)
        at = attribute.end()
    # In one that nobody ends even the words are no attributes.
    ended = _END_OF_TAG.match(html, at) is not None
    return (href if UNTRACKED not in names and ended else None), names, at
