"""Has botocore send a request's body that is made already.

To check and write the parameters of fifty messages takes it longer than all the rest. The request is addressed, signed
and sent, and its answer read, as any other.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

BODY: Final = "PreparedBody"
"""The parameter of `send_bulk_email` that holds the body; the others are not sent, but may be looked at by handlers."""
_OPERATION: Final = "sesv2.SendBulkEmail"


def take_bodies(client: "SESV2Client") -> None:
    """Have a client take bodies that are made already."""
    client.meta.events.register(f"before-parameter-build.{_OPERATION}", _keep)
    client.meta.events.register(f"before-call.{_OPERATION}", _put)


def _keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    # Before botocore looks at the parameters, of which it knows no such one.
    if BODY in params:
        context[BODY] = params.pop(BODY)


def _put(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    # Before the request is signed.
    if BODY in context:
        params["body"] = context[BODY]
