"""Errors that callers see: RFC 9457 problem details that name the field and what to do."""

from typing import Any

from pydantic import BaseModel, Field

CONTENT_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One thing wrong with a request. field: a path such as `recipients.3.to`; empty for the request as a whole."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error answer."""

    type: str = Field(description="Names the kind of problem; stable.")
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list)


class ProblemError(Exception):
    """A request that cannot be served; becomes a problem detail."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, errors: list[FieldError] | None = None, **headers: str
    ) -> None:
        super().__init__(f"{status} {kind}")
        self.problem = Problem(
            type=f"urn:mepush:problem:{kind}", title=title, status=status, detail=detail, errors=errors or []
        )
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def body(self) -> dict[str, Any]:
        """The answer's body."""
        return self.problem.model_dump()


def invalid(
    errors: list[FieldError], detail: str = "The request is well formed but cannot be carried out."
) -> ProblemError:
    """422 for fields that are wrong."""
    return ProblemError(422, "invalid-request", "The request is not valid", detail, errors)


def invalid_field(field: str, message: str) -> ProblemError:
    """422 for one field."""
    return invalid([FieldError(field=field, message=message)], message)


def not_found(what: str) -> ProblemError:
    """404; `what` such as `template`."""
    return ProblemError(404, "not-found", "Not found", f"There is no such {what}.")


def forbidden(detail: str, field: str | None = None) -> ProblemError:
    """A 403: the key is good and may not do this. detail: why, and what to do. field: what is asked too much in."""
    errors = [] if field is None else [FieldError(field=field, message=detail)]
    return ProblemError(403, "forbidden", "The API key may not do this", detail, errors)


def conflict(detail: str) -> ProblemError:
    """409 for a state that does not allow it."""
    return ProblemError(409, "conflict", "Not possible now", detail)
