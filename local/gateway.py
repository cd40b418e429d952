"""An HTTP API on loopback: turns requests into events of payload 2.0 and functions' answers into responses.

After the API Gateway developer guide: "Create AWS Lambda proxy integrations for HTTP APIs", "Control access to HTTP
APIs with AWS Lambda authorizers", "Quotas for configuring and running an HTTP API".
"""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from local.clock import LocalClock
from local.deployment import ACCOUNT, REGION, Authorizer, Route
from local.logs import SINK
from local.pollers import Invoke
from local.routes import Routes

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_EVENT_BYTES = 6 * 1024 * 1024
"""What Lambda takes in one synchronous invocation; behind an HTTP API it rules before the API's own limit."""
AUTHORIZER_TIMEOUT_S = 10.0
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
_JSON = {"content-type": "application/json"}
_CALL_THREADS = 64

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers (a name may repeat) and body."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came in. path: encoded; headers: in order, as written."""

    method: str
    path: str
    raw_query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    protocol: str = "HTTP/1.1"


class _RefusedError(Exception):
    """The gateway itself answers."""

    def __init__(self, status: int, message: str | None) -> None:
        super().__init__(message)
        self.answer: Answer = (status, list(_JSON.items()), json.dumps({"message": message}).encode())


class Gateway:
    """Answers requests by the routes of a deployment; thread-safe. It knows nothing of sockets."""

    def __init__(self, routes: Sequence[Route], invoke: Invoke, clock: LocalClock, domain: Callable[[], str]) -> None:
        self._routes = Routes(routes)
        self._invoke = invoke
        self._clock = clock
        self._domain = domain
        self._calls = ThreadPoolExecutor(_CALL_THREADS, "gateway-call")
        self._known: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Take no more calls."""
        self._calls.shutdown(wait=False, cancel_futures=True)

    def __call__(self, request: Incoming) -> Answer:
        """Answer one request; never raises."""
        try:
            found = self._routes.find(request.method, request.path)
            if found is None:
                raise _RefusedError(404, "Not Found")
            if len(request.body) > MAX_BODY_BYTES:
                raise _RefusedError(413, "Request Entity Too Large")
            route, parameters = found
            event = self._event(request, route, parameters)
            if route.authorizer is not None:
                context = self._authorize(route.authorizer, route, event)
                event["requestContext"]["authorizer"] = {"lambda": context}
            if len(event.get("body", "")) > MAX_EVENT_BYTES:
                raise _RefusedError(413, "Request Entity Too Large")
            return self._integrate(route, event)
        except _RefusedError as refused:
            return refused.answer

    def _integrate(self, route: Route, event: dict[str, Any]) -> Answer:
        try:
            answer = self._call(route.function, event, route.timeout_ms / 1000)
        except FutureTimeoutError:
            raise _RefusedError(503, "Service Unavailable") from None
        except Exception:  # a function may raise anything
            SINK.failure(route.function)
            raise _RefusedError(500, "Internal Server Error") from None
        try:
            return _answer(answer)
        except (TypeError, ValueError, KeyError, AttributeError):
            SINK.failure(f"{route.function}: an answer that API Gateway cannot read")
            raise _RefusedError(500, "Internal Server Error") from None

    def _call(self, function: str, event: dict[str, Any], timeout_s: float) -> Any:
        return self._calls.submit(self._invoke, function, event).result(timeout_s)

    def _authorize(self, authorizer: Authorizer, route: Route, event: dict[str, Any]) -> dict[str, Any]:
        """Ask the authorizer and return its context."""
        sources = [_source(source, event) for source in authorizer.identity_sources]
        if not all(sources):
            raise _RefusedError(401, "Unauthorized")
        # One cached answer serves every route: the sources alone are the key.
        key = (authorizer.function, *map(str, sources))
        now = self._clock.now()
        with self._lock:
            until, answer = self._known.get(key, (0.0, {}))
        if not authorizer.ttl_s or until <= now:
            answer = self._ask(authorizer, route, event, sources)
            if authorizer.ttl_s:
                with self._lock:
                    self._known[key] = (now + authorizer.ttl_s, answer)
        if not answer["isAuthorized"]:
            raise _RefusedError(403, "Forbidden")
        context: dict[str, Any] = answer.get("context") or {}
        return context

    def _ask(self, authorizer: Authorizer, route: Route, event: dict[str, Any], sources: list[Any]) -> dict[str, Any]:
        asked = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded")}
        method_path = route.key.replace(" ", "", 1) if " " in route.key else route.key
        asked |= {
            "type": "REQUEST",
            "routeArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:local/$default/{method_path}",
            "identitySource": sources or None,
        }
        try:
            answer = self._call(authorizer.function, asked, AUTHORIZER_TIMEOUT_S)
        except Exception:  # a function may raise anything
            SINK.failure(authorizer.function)
            raise _RefusedError(500, "Internal Server Error") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("isAuthorized"), bool):
            raise _RefusedError(500, "Internal Server Error")
        return answer

    def _event(self, request: Incoming, route: Route, parameters: Mapping[str, str]) -> dict[str, Any]:
        headers, cookies = _headers(request)
        now_ms = self._clock.now_ms()
        domain = self._domain()
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": request.path,
            "rawQueryString": request.raw_query,
            "headers": headers,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "local",
                "domainName": domain,
                "domainPrefix": domain.partition(".")[0],
                "http": {
                    "method": request.method,
                    "path": request.path,
                    "protocol": request.protocol,
                    "sourceIp": request.source_ip,
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": uuid.uuid4().hex,
                "routeKey": route.key,
                "stage": "$default",
                "time": datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S %z"),
                "timeEpoch": now_ms,
            },
            "isBase64Encoded": False,
        }
        if cookies:
            event["cookies"] = cookies
        if parameters:
            event["pathParameters"] = dict(parameters)
        if query := _query(request.raw_query):
            event["queryStringParameters"] = query
        if request.body:
            event["body"], event["isBase64Encoded"] = _body(request.body, headers.get("content-type", ""))
        return event


def _headers(request: Incoming) -> tuple[dict[str, str], list[str]]:
    """Headers in lower case, repeated ones joined by commas; cookies apart."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        lower = name.lower()
        if lower == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        else:
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    headers.setdefault("x-forwarded-for", request.source_ip)
    headers.setdefault("x-forwarded-proto", "http")
    return headers, cookies


def _query(raw: str) -> dict[str, str]:
    """Decoded query parameters, repeated ones joined by commas."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    """A body as an event holds it: text where the content type says so and it is UTF-8, else Base64."""
    if content_type.lower().startswith(_TEXT_TYPES):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _source(source: str, event: Mapping[str, Any]) -> Any:
    """An identity source, such as `$request.header.Authorization`."""
    where, _, name = source.removeprefix("$request.").partition(".")
    if where == "header":
        return event["headers"].get(name.lower())
    if where == "querystring":
        return event.get("queryStringParameters", {}).get(name)
    if source == "$context.routeKey":
        return event["routeKey"]
    return None


def _answer(answer: Any) -> Answer:
    """A function's answer as a response. One without a status is the body of a 200.

    Raises: TypeError, ValueError, KeyError, AttributeError for what API Gateway cannot read.
    """
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return 200, list(_JSON.items()), json.dumps(answer).encode()
    text = answer.get("body") or ""
    if not isinstance(text, str):
        raise TypeError("a body is text")
    body = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
    headers = [(name.lower(), str(value)) for name, value in (answer.get("headers") or {}).items()]
    if not any(name == "content-type" for name, _ in headers) and body:
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers += [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or ()]
    return int(answer["statusCode"]), [h for h in headers if h[0] != "content-length"], body
