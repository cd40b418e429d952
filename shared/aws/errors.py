"""What calls of AWS raise, and what of it may be over when it is tried again."""

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from shared.errors import LostError, UnavailableError

AWS_ERRORS = (BotoCoreError, ClientError, UnavailableError, LostError)
"""What a call raises that AWS, or one of our stores and services there, does not carry out.

botocore wraps what goes wrong with a connection in a BotoCoreError. Mistakes of ours are none of these.
"""
_REFUSED = frozenset({"ValidationException", "SerializationException", "InvalidParameterValue", "InvalidArgument"})
"""Codes by which AWS says that a request is wrong in itself. The second one says so of a value's type, which only
botocore would notice before (see `shared/aws/bodies.py`)."""


def may_pass(error: Exception) -> bool:
    """Whether what broke a step off may be over when it is done again: a service out of reach, a conflict."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") not in _REFUSED
    if isinstance(error, BotoCoreError):
        return not isinstance(error, ParamValidationError)
    return isinstance(error, OSError | UnavailableError | LostError)


def received(record: dict[str, object]) -> int:
    """How often a queue has handed out a message, as its function is told."""
    attributes = record.get("attributes")
    return int(attributes.get("ApproximateReceiveCount", 1)) if isinstance(attributes, dict) else 1
