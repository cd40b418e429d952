"""What can go wrong for a person at a terminal, in plain sentences."""

from typing import Any

_NO_FIELDS = frozenset({"", "Authorization"})
"""Where a finding of the API may be that is nothing a person at a terminal has written."""


class MepushError(Exception):
    """Something failed; `str()` says what, as a sentence. Ends the command with exit code 1.

    hint: what to do, where there is something. details: (field, message) pairs.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", details: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = details or []

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "error": str(self),
            "hint": self.hint,
            "errors": [{"field": field, "message": message} for field, message in self.details],
        }


class UsageError(MepushError):
    """The command was called in a way that cannot work. Ends it with exit code 2."""

    exit_code = 2


class FileError(MepushError):
    """A file given to the command cannot be used."""


class ConnectionProblemError(MepushError):
    """The API was not reached, or its answer did not arrive."""


class ApiError(MepushError):
    """The API said no. status: of HTTP. kind: the problem's stable name, such as `urn:mepush:problem:conflict`.

    retry_after_s: when to ask again, where the API says so.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        details: list[tuple[str, str]],
        retry_after_s: int | None = None,
    ) -> None:
        said = _same_words(detail, title)
        if len(details) == 1 and _same_words(details[0][1], detail):
            # A single finding is often the detail itself: say it once, beside its field where that helps.
            beside = details[0][0] not in _NO_FIELDS
            details = details if beside else []
            said = said or beside
        super().__init__(title if said or not detail else f"{title}: {detail}", details=details)
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "status": self.status, "type": self.kind}


def _same_words(one: str, other: str) -> bool:
    return one.rstrip(".").casefold() == other.rstrip(".").casefold()
