"""What goes wrong, as a tree: by what whoever asked can do about it.

    PlatformError
     ├── RequestError            asked again as it is, it will be refused again
     │    ├── InvalidError        it is wrong: mend what `errors` names
     │    ├── ForbiddenError      the key may not do it: use another
     │    └── NotFoundError       there is no such thing
     ├── ConflictError           the state does not allow it: look at it, then decide
     │    └── BusyError           the same request is being carried out: ask again for its answer
     ├── TooManyError            asked too often: come back when it says
     ├── LostError               somebody else was faster: read again, then try again
     ├── UnavailableError        what it needs does not answer: try again later
     │    ├── NotQueuedError      nothing was accepted
     │    ├── NotCountedError     nothing was accepted
     │    ├── NotAppliedError     it is saved, and does not count yet
     │    └── NotRecordedError    it is done, and cannot be seen yet
     └── BrokenError             a mistake of ours, or in how we are deployed

Errors of stores, services and functions stand below these, each in its own module. `shared.api.problems` says what
callers of the API are told of each. Three kinds stand outside: a text that cannot be read (`AddressError` and its like)
is a ValueError, as it is to Python's own parsers; what stops a connection is an OSError, as sockets raise it; and an
error that never leaves a provider, which makes an outcome of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request."""

    field: str
    """A path such as `recipients.3.to`; empty for the request as a whole."""
    message: str


class PlatformError(Exception):
    """Whatever the platform refuses or cannot do.

    detail: what happened and what to do, in plain words. errors: what is wrong, by field. title: in a few words, where
    those of its kind do not say it.
    """

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = (), title: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.title = title


class RequestError(PlatformError):
    """The request as it is will be refused whenever it comes."""


class InvalidError(RequestError):
    """The request is wrong."""


class ForbiddenError(RequestError):
    """The key is good and may not do this."""


class NotFoundError(RequestError):
    """There is no such thing, or not any more."""


class ConflictError(PlatformError):
    """The state of things does not allow it."""


class BusyError(ConflictError):
    """The same request is being carried out."""


class TooManyError(PlatformError):
    """It was asked for too often. retry_after_s: when to ask again, in seconds."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = (), retry_after_s: int = 1) -> None:
        super().__init__(detail, errors)
        self.retry_after_s = retry_after_s


class LostError(PlatformError):
    """Somebody else changed or took it first."""


class UnavailableError(PlatformError):
    """Something that is needed does not answer, or takes nothing more now."""


class NotQueuedError(UnavailableError):
    """No queue took what was to be sent."""


class NotCountedError(UnavailableError):
    """What is limited cannot be counted, so nothing may go."""


class NotAppliedError(UnavailableError):
    """What was changed is saved, and those whom it concerns could not be told."""


class NotRecordedError(UnavailableError):
    """What was done could not be written down."""


class BrokenError(PlatformError):
    """A mistake of ours, or of how the platform is deployed."""


def invalid(
    errors: Sequence[FieldError], detail: str = "The request is well formed but cannot be carried out."
) -> InvalidError:
    """Fields are wrong."""
    return InvalidError(detail, errors)


def invalid_field(field: str, message: str) -> InvalidError:
    """One field is wrong."""
    return InvalidError(message, [FieldError(field, message)])


def not_found(what: str) -> NotFoundError:
    """`what` such as `template`."""
    return NotFoundError(f"There is no such {what}.")


def forbidden(detail: str, field: str | None = None) -> ForbiddenError:
    """detail: why, and what to do. field: what is asked too much in."""
    return ForbiddenError(detail, [] if field is None else [FieldError(field, detail)])
