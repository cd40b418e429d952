"""Finds the links of a WeCom message, and puts others in their place. Pure.

One call carries a message to up to a thousand members, so its links are the same for all of them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from shared.policy.links import is_web_address

MOST_BYTES: Final = 2048
"""Of a text or of Markdown (WeCom 90236): one that would be longer by other links stays as it is."""
_TEXTS: Final = {
    "text": re.compile(r"""(<a\s[^<>]*?href=["'])(https?://[^"'<>]+)(["'])""", re.IGNORECASE),
    "markdown": re.compile(r"(\]\()(https?://[^()\s]+)(\))", re.IGNORECASE),
}
_PICTURES: Final = frozenset({"card_image"})
"""Parts of template cards whose `url` is a picture's."""

LinkOf = Callable[[str], str | None]
"""From where a link leads to the other one; None leaves it as it is."""


def with_wecom_links(type: str, body: Mapping[str, Any], link_of: LinkOf) -> dict[str, Any]:
    """The fields of a message of a type with other links."""
    if type in _TEXTS:
        content = _TEXTS[type].sub(lambda found: f"{found[1]}{_other(found[2], link_of)}{found[3]}", body["content"])
        return {**body, "content": content} if len(content.encode()) <= MOST_BYTES else dict(body)
    if type == "textcard":
        return {**body, "url": _other(body["url"], link_of)}
    if type == "news":
        return {**body, "articles": [{**each, "url": _other(each["url"], link_of)} for each in body["articles"]]}
    return {**body, "card": _card(body["card"], link_of)} if type == "template_card" else dict(body)


def wecom_links_in(type: str, body: Mapping[str, Any]) -> list[str]:
    """Where the links of a message, or of its template, lead; each once."""
    found: dict[str, None] = {}

    def note(target: str) -> None:
        found[target] = None

    if type in _TEXTS:
        return list(dict.fromkeys(each[2] for each in _TEXTS[type].finditer(body["content"])))
    with_wecom_links(type, body, note)
    return list(found)


def _other(target: str, link_of: LinkOf) -> str:
    return (link_of(target) if is_web_address(target) else None) or target


def _card(part: Any, link_of: LinkOf) -> Any:
    if isinstance(part, Mapping):
        return dict(_fields(part, link_of))
    return [_card(each, link_of) for each in part] if isinstance(part, list) else part


def _fields(part: Mapping[str, Any], link_of: LinkOf) -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        if name in _PICTURES:
            yield name, value
        elif name == "url" and isinstance(value, str):
            yield name, _other(value, link_of)
        else:
            yield name, _card(value, link_of)
