"""What callers are told of errors: RFC 9457 problem details that name the field and what to do."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import Field

from shared.errors import (
    BrokenError,
    BusyError,
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidError,
    LostError,
    NotAppliedError,
    NotCountedError,
    NotFoundError,
    NotQueuedError,
    NotRecordedError,
    PlatformError,
    RequestError,
    TooManyError,
    UnavailableError,
)
from shared.model.base import Model

CONTENT_TYPE = "application/problem+json"
_TYPE = "urn:mepush:problem:"


class Problem(Model):
    """The body of every error answer."""

    type: str = Field(description="Names the kind of problem; stable.")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


class UnauthorizedError(RequestError):
    """Nobody with a valid key asks."""


class MalformedError(InvalidError):
    """The body is not JSON, or no text at all."""


class MediaTypeError(InvalidError):
    """The body is said to be something else than JSON."""


class TooLargeError(InvalidError):
    """The body is larger than any may be."""


class Row(NamedTuple):
    """How one kind of error is answered."""

    status: int
    kind: str
    """The stable end of the problem's type."""
    title: str
    headers: Mapping[str, str] = {}
    detail: str = ""
    """What is said in place of the error's own words, which are not for callers."""


_SOON, _LATER = {"Retry-After": "1"}, {"Retry-After": "5"}
TABLE: Mapping[type[PlatformError], Row] = {
    MalformedError: Row(400, "malformed", "The body is not JSON"),
    UnauthorizedError: Row(401, "unauthorized", "No valid API key", {"www-authenticate": "Bearer"}),
    ForbiddenError: Row(403, "forbidden", "The API key may not do this"),
    NotFoundError: Row(404, "not-found", "Not found"),
    ConflictError: Row(409, "conflict", "Not possible now"),
    BusyError: Row(409, "conflict", "Not possible now", _SOON),
    LostError: Row(409, "conflict", "Not possible now", _SOON, "Others are changing this; look at it and try again."),
    TooLargeError: Row(413, "too-large", "The body is too large"),
    MediaTypeError: Row(415, "unsupported-media-type", "The body is not JSON"),
    TooManyError: Row(429, "too-many", "Asked too often"),
    InvalidError: Row(422, "invalid-request", "The request is not valid"),
    NotQueuedError: Row(503, "not-queued", "Nothing could be queued", _SOON),
    NotCountedError: Row(503, "not-counted", "Texts cannot be counted", _SOON),
    NotAppliedError: Row(503, "not-applied", "Saved, but not carried out yet", _LATER),
    NotRecordedError: Row(503, "unavailable", "Not available now", _SOON),
    UnavailableError: Row(
        503,
        "unavailable",
        "Not available now",
        _SOON,
        "A service that the platform needs did not answer. Try again, with the same Idempotency-Key.",
    ),
    BrokenError: Row(500, "internal", "An error of ours", {}, "Try again; if it lasts, report the time and the route."),
}
"""The kinds of errors that are answered alike; others as the nearest kind above them."""


def row_of(error: PlatformError) -> Row:
    """How an error is answered."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def problem_of(error: PlatformError) -> Problem:
    """The body of an error's answer."""
    row = row_of(error)
    return Problem(
        type=_TYPE + row.kind,
        title=error.title or row.title,
        status=row.status,
        detail=row.detail or error.detail,
        errors=[] if row.detail else error.errors,
    )
