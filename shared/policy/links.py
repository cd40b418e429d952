"""Whether a link is safe: one question for every place where a message holds one.

Escaping does not stop `javascript:`, so links are held to schemes that only lead somewhere.
"""

import re
from collections.abc import Collection
from html import unescape
from typing import Any

from shared.errors import InvalidError

SCHEMES = ("http", "https", "mailto", "tel", "sms", "cid")
"""What a link in an email may begin with; one without a scheme is let through."""
WEB = ("http", "https")
"""What a link in a WeCom message must begin with."""

# Browsers leave out U+0000 to U+0020 in front of a scheme, and tabs and line breaks within it (WHATWG URL standard,
# "basic URL parser"); other programs leave out more, so all that cannot be seen goes.
_LEFT_OUT = re.compile(
    r"[\s\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufe00-\ufe0f\ufeff]+"
)
# From its first character on, since there may be more of it before the value.
_SCHEME = re.compile(r"([a-zA-Z0-9+.\-]*):(.*)", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"//[^/\\?#@:\s]")


class LinkError(InvalidError):
    """A value would make a link do something else than lead somewhere."""


def is_safe(link: str, schemes: Collection[str] = SCHEMES) -> bool:
    """Whether a link leads somewhere by one of these schemes, or by none, whoever reads it.

    It is read as browsers read it, and once more with its character references resolved.
    """
    return all(_leads(form, schemes) for form in {link, unescape(link)})


def is_web_address(link: Any) -> bool:
    """Whether a whole link begins with http:// or https:// and a host, as it stands."""
    if not isinstance(link, str) or _CONTROLS.search(link) or not is_safe(link, WEB):
        return False
    found = _SCHEME.match(link)
    return found is not None and found[1].lower() in WEB and _HOST.match(found[2]) is not None


def is_link_field(name: object) -> bool:
    """Whether a field of a WeCom message holds a whole link, by its name: `url`, `picurl`, `icon_url`, ..."""
    return isinstance(name, str) and name.lower().endswith("url")


def check_link(value: Any) -> Any:
    """The value itself, with which a link of an email begins. Raises: LinkError unless it is safe."""
    if not is_safe(str(value)):
        allowed = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        raise LinkError(f"a link may begin with {allowed} or no scheme, not with another; write https:// before a host")
    return value


def _leads(link: str, schemes: Collection[str]) -> bool:
    found = _SCHEME.match(_LEFT_OUT.sub("", link))
    return found is None or found[1].lower() in schemes
