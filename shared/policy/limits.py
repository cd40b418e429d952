"""What the vendors' limits on rendered content are made of, and how what breaks one is put into words.

Checked before anything is queued and again before it leaves, so that a message which a vendor would refuse, or would
silently cut short, is named with its field instead. The limits themselves stand with the vendors: only what the vendors
document is checked; what depends on an account (approved templates, words, quotas) only the vendor knows.
"""

from typing import Any, NamedTuple

from shared.model.sizes import size
from shared.policy.links import is_web_address

Issue = tuple[str, str]
"""A field, written with dots and positions such as `articles.0.url`, and what is wrong with it, without the value."""


class TooLong(NamedTuple):
    """An issue that is about length."""

    field: str
    message: str


def not_sent(kind: str, provider: str) -> list[Issue]:
    """What is said of content of a kind that a provider does not send at all."""
    return [("type", f"the provider {provider} does not send {kind} content")]


def too_long(field: str, text: str, most: int, unit: str) -> list[Issue]:
    """What is wrong with a text of more than so many units. unit: `bytes` or `characters`."""
    length = size(text) if unit == "bytes" else len(text)
    hint = " (in UTF-8; a Chinese character takes 3)" if unit == "bytes" else ""
    return [TooLong(field, f"has {length:,} {unit}, more than {most:,}{hint}")] if length > most else []


def blank(field: str, text: Any) -> list[Issue]:
    """What is wrong with a text that shows nothing."""
    return [] if isinstance(text, str) and text.strip() else [(field, "is blank")]


def web_url(field: str, url: Any) -> list[Issue]:
    """What is wrong with a link that does not lead to a web page."""
    return [] if is_web_address(url) else [(field, "must be a web address that starts with http:// or https://")]
