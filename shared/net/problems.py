"""Why no connection could be made, where that is for people to mend: in words, whichever library tells of it."""

import ssl
from collections.abc import Iterator

from shared.net.network import HOW, ForbiddenAddressError
from shared.net.tls import BROKEN, fault_of

NOT_ALLOWED = "address_not_allowed"

WORDS: dict[str, tuple[str, str]] = {
    NOT_ALLOWED: (
        "The server's address is not one that accounts may connect to; nothing was connected to.",
        f"Name a server on the internet; {HOW}.",
    ),
    "certificate_expired": (
        "The server's certificate, or that of its authority, has expired.",
        "Have the server's certificate renewed; if the authority's is new, give it as ca_pem.",
    ),
    "certificate_not_valid_yet": (
        "The server's certificate is not valid yet.",
        "Check the server's clock and from when its certificate is valid.",
    ),
    "certificate_self_signed": (
        "The server's certificate is signed by itself, so nobody vouches for it.",
        "Give that very certificate as ca_pem, or have one made by an authority.",
    ),
    "certificate_authority_unknown": (
        "The server's certificate comes from an authority that is not trusted, or a certificate in between is missing.",
        "Give the authority's certificate as ca_pem, or have the server send its whole chain.",
    ),
    "certificate_for_another_name": (
        "The server's certificate is for another name.",
        "Use a name that is on the server's certificate as host.",
    ),
    "certificate_too_weak": (
        "A certificate of the server is signed or keyed too weakly to be trusted.",
        "Have the server's certificate made anew, with SHA-256 and a key of today.",
    ),
    BROKEN: (
        "The server's certificate, or that of its authority, breaks the rules for certificates (RFC 5280).",
        "If you trust the authority all the same, give its certificate as ca_pem; else have them made anew.",
    ),
}
"""By code: what happened, and what to do."""


def code_of(error: BaseException) -> str | None:
    """The code of a refused address or a bad certificate that an error tells of; None if of neither."""
    for cause in causes(error):
        if isinstance(cause, ForbiddenAddressError):
            return NOT_ALLOWED
        if isinstance(cause, ssl.SSLCertVerificationError):
            return fault_of(cause)
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it wraps.

    requests and urllib3 keep what they wrap in the arguments and in `reason`, botocore in `kwargs`, others as the
    cause. Not the chain of contexts: that may lead to an error of another call that the caller is just handling.
    """
    todo, seen = [error], set[int]()
    while todo:
        current = todo.pop()
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            kept = getattr(current, "kwargs", None)
            more = kept.get("error") if isinstance(kept, dict) else None
            wrapped = (*current.args, getattr(current, "reason", None), more, current.__cause__)
            todo += [inner for inner in wrapped if isinstance(inner, BaseException)]
