"""Turns an API Gateway event (HTTP API, payload 2.0) into a call of an operation's function, and its result or error
into an answer. `shared.api.problems` decides what errors look like."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from msgspec import Struct
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from shared.api.headers import with_security
from shared.api.operation import MAX_BODY_BYTES, Operation
from shared.api.operations import BY_ID
from shared.api.problems import (
    CONTENT_TYPE,
    MalformedError,
    MediaTypeError,
    TooLargeError,
    UnauthorizedError,
    problem_of,
    row_of,
)
from shared.base.logs import log_error
from shared.errors import (
    BrokenError,
    FieldError,
    InvalidError,
    PlatformError,
    TooManyError,
    UnavailableError,
    forbidden,
    invalid,
    not_found,
)
from shared.model.findings import details, plain_words
from shared.model.words import KeyKind, Scope
from shared.policy.access import ACCESS, reaches

logger = Logger()


class Caller(Struct, frozen=True):
    """Who calls, as the authorizer found out."""

    tenant: str
    key_id: str
    kind: KeyKind
    scopes: frozenset[Scope]


class Call(Struct, frozen=True):
    """One call of an operation."""

    operation: str
    """Its id."""
    caller: Caller
    path: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case."""
    raw_body: bytes
    body: Any
    """`body` and `query`: parsed."""
    query: Any
    origin: str = ""
    """Where the API was called, such as `https://abc.execute-api.eu-central-1.amazonaws.com`."""

    def reaches(self, kind: KeyKind) -> bool:
        """Whether the caller's key may do this to an object of a kind."""
        return reaches(self.operation, self.caller.kind, kind)

    def require(self, kind: KeyKind, what: str) -> None:
        """Raises: ForbiddenError if the caller's key may not do this to an object of a kind. what: in words."""
        if not self.reaches(kind):
            own = " and ".join(sorted(ACCESS[self.operation].of(self.caller.kind)))
            raise forbidden(
                f"By this a {self.caller.kind} key reaches what {own} keys made, and this {what} is `{kind}`. "
                "Use a live key."
            )

    def require_scope(self, scope: Scope, what_for: str) -> None:
        """Raises: ForbiddenError if the caller's key lacks a scope that the operation does not always need.

        what_for: in words.
        """
        if scope not in self.caller.scopes:
            raise forbidden(f"{what_for} a key needs the scope `{scope}`, too, and yours lacks it.")


OperationFunction = Callable[[Call], Any]
"""Returns a model, JSON-able data, or None for no content. Raises: PlatformError."""

M = TypeVar("M", bound=BaseModel)
_NOBODY = Caller("", "", KeyKind.TEST, frozenset())


class Api:
    """Dispatches events to functions by operation id."""

    def __init__(self, functions: Mapping[str, OperationFunction]) -> None:
        self._by_route: dict[str, tuple[Operation, OperationFunction]] = {
            BY_ID[name].route_key: (BY_ID[name], function) for name, function in functions.items()
        }
        for operation, _ in self._by_route.values():
            operation.load()

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one event; never raises."""
        try:
            found = self._by_route.get(event["routeKey"])
            if found is None:
                raise not_found("route")
            operation, function = found
            call = _read(operation, event)
            return _answer(operation, function(call))
        except Exception as error:  # the last resort: whatever it is, a caller gets an answer
            told = error if isinstance(error, PlatformError) else _unhandled(error)
            if row_of(told).detail:  # its own words are not for callers
                log_error(logger, "unhandled error", error, route=event.get("routeKey"))
            return _problem(told)


def _unhandled(error: Exception) -> PlatformError:
    # By name, since not every function that answers loads botocore: AWS that is out of reach or refuses is not our
    # mistake, and a caller may well try again.
    aws = any(kind.__module__ == "botocore.exceptions" for kind in type(error).__mro__)
    return UnavailableError() if aws else BrokenError()


def _read(operation: Operation, event: Mapping[str, Any]) -> Call:
    caller = _caller(operation, event)
    headers: Mapping[str, str] = event.get("headers") or {}
    raw = _raw_body(event)
    body = None
    if operation.request is not None:
        _check_body(headers, raw)
        body = parse(operation.request, raw)
    query = None
    if operation.query is not None:
        try:
            query = operation.query.model_validate(event.get("queryStringParameters") or {})
        except ValidationError as error:
            raise validation_problem(error, "query") from None
    return Call(operation.id, caller, event.get("pathParameters") or {}, headers, raw, body, query, _origin(event))


def _origin(event: Mapping[str, Any]) -> str:
    """Where the API was called: what API Gateway says of itself, and no header of the caller's."""
    domain = (event.get("requestContext") or {}).get("domainName")
    # The local stack's API is called by its port, in the clear; one in AWS has a name alone.
    scheme = "http" if ":" in (domain or "") else "https"
    return f"{scheme}://{domain}" if domain else ""


def _caller(operation: Operation, event: Mapping[str, Any]) -> Caller:
    """Who calls. Raises: UnauthorizedError; ForbiddenError without the operation's scope or kind of key."""
    if operation.scope is None:
        return _NOBODY
    context = ((event.get("requestContext") or {}).get("authorizer") or {}).get("lambda") or {}
    if context.get("problem") != "" or not context.get("tenant"):
        detail = context.get("problem") or "Give an API key: Authorization: Bearer mp_..."
        raise UnauthorizedError(detail, [FieldError("Authorization", detail)])
    scopes = frozenset(Scope(s) for s in context["scopes"].split())
    if operation.scope not in scopes:
        hint = " `python -m infra.first_key --operator` makes one." if operation.scope is Scope.OPERATE else ""
        raise forbidden(f"This needs a key with the scope `{operation.scope}`.{hint}")
    kind = KeyKind(context["kind"])
    if not operation.access.of(kind):
        raise forbidden(f"This is for live keys only, and yours is a {kind} key. Use a live key.")
    return Caller(context["tenant"], context["key_id"], kind, scopes)


def _raw_body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error:
            raise _malformed("send JSON in UTF-8", "The body cannot be read") from None
    return body.encode() if isinstance(body, str) else body


def _check_body(headers: Mapping[str, str], raw: bytes) -> None:
    content_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        errors = [FieldError("Content-Type", "send application/json")]
        raise MediaTypeError("Send Content-Type: application/json.", errors)
    if len(raw) > MAX_BODY_BYTES:
        errors = [FieldError("", f"send at most {MAX_BODY_BYTES:,} bytes; split the recipients")]
        raise TooLargeError(f"Send at most {MAX_BODY_BYTES:,} bytes; split the recipients.", errors)


def parse(model: type[M], raw: bytes) -> M:
    """Read a body in one pass. Raises: MalformedError for what is not JSON, InvalidError naming each wrong field."""
    # pydantic reads `NaN` and `Infinity`, which JSON has not: they would go out as texts.
    if b"NaN" in raw or b"Infinity" in raw:
        try:
            from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise _malformed(str(error)) from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise validation_problem(error) from None


def _malformed(message: str, title: str = "") -> MalformedError:
    return MalformedError(message, [FieldError("", message)], title)


def validation_problem(error: ValidationError, where: str = "") -> InvalidError:
    """Pydantic's findings: field paths and messages, never the values."""
    found = details(error)
    if found and found[0]["type"] == "json_invalid":
        return _malformed(found[0]["msg"])
    return invalid([_field_error(e, where) for e in found[:50]], f"{len(found)} field(s) are not valid.")


def _field_error(e: ErrorDetails, where: str) -> FieldError:
    path = [where] if where else []
    # Validators and the variant of a template's content are named too; they are no part of the caller's path.
    loc = e["loc"][:1] + e["loc"][2:] if e["loc"][:1] == ("content",) and e["loc"][1:2] else e["loc"]
    path += [str(p) for p in loc if not str(p).startswith("function-")]
    return FieldError(field=".".join(path), message=plain_words(e))


def _answer(operation: Operation, result: Any) -> dict[str, Any]:
    if result is None:
        return {"statusCode": operation.success, "headers": with_security({})}
    body = to_json(result, by_alias=True, exclude_none=False).decode()
    headers = with_security({"content-type": "application/json"})
    return {"statusCode": operation.success, "headers": headers, "body": body}


def _problem(error: PlatformError) -> dict[str, Any]:
    row = row_of(error)
    headers = dict(row.headers)
    if isinstance(error, TooManyError):
        headers["Retry-After"] = str(error.retry_after_s)
    return {
        "statusCode": row.status,
        "headers": with_security({"content-type": CONTENT_TYPE, **headers}),
        "body": to_json(problem_of(error)).decode(),
    }
