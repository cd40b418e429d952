"""The headers of every answer: what a browser must not keep, guess, frame or tell others."""

from collections.abc import Mapping

_EVERYWHERE: Mapping[str, str] = {
    # Answers hold keys that are shown once, addresses and texts of messages.
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}


def with_security(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer, and those of every answer that it does not set itself. headers: lower-case names."""
    return {**_EVERYWHERE, **headers}
