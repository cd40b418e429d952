"""The links of a template, by number, and which of them a link of a message is. Pure.

A link is where its template says that it leads: two buttons with the same target are one, and links with variables are
one for all recipients. So what is counted of a link has the same number whatever a message shows or leaves out, and
nothing of a recipient is in it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shared.model.content import Content, EmailContent
from shared.policy.links import is_web_address
from shared.policy.tracked_html import links_in
from shared.policy.unsubscribing import VARIABLE

MOST: Final = 255
"""Links of a template that have numbers; the others have 0."""
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def links_of(html: str) -> list[str]:
    """Where the links of a template lead that may be tracked, as it has them; the first is number 1."""
    found = dict.fromkeys(link for link in links_in(html) if _may_be_tracked(link))
    return list(found)[:MOST]


def _may_be_tracked(link: str) -> bool:
    placeholders = _PLACEHOLDER.findall(link)
    if any(VARIABLE in each for each in placeholders):
        return False
    return is_web_address(_PLACEHOLDER.sub("x", link)) or link.startswith("{")


def template_links(content: Content) -> list[str]:
    """Where the links of a content lead that may be tracked."""
    return links_of(content.html) if isinstance(content, EmailContent) and content.html is not None else []


class Numbers:
    """Finds the numbers of a template's links."""

    def __init__(self, links: Sequence[str]) -> None:
        pieces = [(number, _PLACEHOLDER.split(link)) for number, link in enumerate(links, 1)]
        self._fixed = {texts[0]: number for number, texts in pieces if len(texts) == 1}
        # Of several that fit, the one that leaves least to variables.
        varying = [(number, texts) for number, texts in pieces if len(texts) > 1]
        self._varying = sorted(varying, key=lambda each: (-sum(map(len, each[1])), each[0]))

    def __call__(self, target: str) -> int:
        """The number of the link that leads to a target; 0 if it is none of them. Linear in the target's length."""
        if (number := self._fixed.get(target)) is not None:
            return number
        return next((number for number, texts in self._varying if _fits(target, texts)), 0)


@lru_cache(maxsize=256)
def numbers_in(html: str) -> Numbers:
    """The numbers of the links of a template's HTML."""
    return Numbers(links_of(html))


def _fits(target: str, texts: Sequence[str]) -> bool:
    """Whether the texts follow each other in a target, the first at its beginning and the last at its end."""
    at, end = len(texts[0]), len(target) - len(texts[-1])
    if end < at or not (target.startswith(texts[0]) and target.endswith(texts[-1])):
        return False
    for text in texts[1:-1]:
        at = target.find(text, at, end)
        if at < 0:
            return False
        at += len(text)
    return True
