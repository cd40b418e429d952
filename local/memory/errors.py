"""What the in-memory services refuse."""

from collections.abc import Mapping
from typing import Any


class UnsupportedError(NotImplementedError):
    """Something that the in-memory services do not know: better loud than wrong."""


class AwsError(Exception):
    """An error as a service answers it. code: what callers compare; more: further members of the error's answer.

    modeled: the error's name in the service's description, where it differs from the code (SQS).
    """

    def __init__(self, code: str, message: str, more: Mapping[str, Any] | None = None, modeled: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.more = dict(more or {})
        self.modeled = modeled or code


def invalid(message: str) -> AwsError:
    """DynamoDB's and Kinesis's refusal of what a request says."""
    return AwsError("ValidationException", message)
