"""Values that begin a link in HTML: escaping does not stop `javascript:`, so these are held to schemes that only lead
somewhere."""

import re
from typing import Any

SCHEMES = ("http", "https", "mailto", "tel", "sms", "cid")
"""What a link may begin with; one without a scheme is let through."""
LINK = " link"
"""The filter that checks a value; no name in a template can hold a blank."""

# What browsers leave out before they read a scheme (WHATWG URL standard, "basic URL parser").
_LEFT_OUT = re.compile(r"[\x00-\x20]+")
# From its first character on, since there may be more of it before the value.
_SCHEME = re.compile(r"([a-zA-Z0-9+.-]*):")


class LinkError(Exception):
    """A value would make a link do something else than lead somewhere."""


def check_link(value: Any) -> Any:
    """The value itself. Raises: LinkError if it begins with a scheme that is not allowed."""
    found = _SCHEME.match(_LEFT_OUT.sub("", str(value)[:2000]))
    if found and found[1].lower() not in SCHEMES:
        raise LinkError(f"a link may begin with {', '.join(f'{s}:' for s in SCHEMES)} or no scheme, not with another")
    return value
