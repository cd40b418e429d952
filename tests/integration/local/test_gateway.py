"""The HTTP API: what functions get to see, and what callers get to see."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.clock import LocalClock
from local.deployment import Authorizer, Route
from local.gateway import MAX_BODY_BYTES, Gateway, Incoming
from local.server import PortError, Server, page

GUARD = Authorizer("guard", (), 0)
Function = Callable[[Any], Any]


class Api:
    """A gateway whose functions are the test's, called without sockets."""

    def __init__(self, *routes: str, authorizer: Authorizer | None = None, timeout_ms: int = 30_000) -> None:
        self.clock = LocalClock()
        self.events: list[tuple[str, Any]] = []
        self.functions: dict[str, Function] = {
            "door": lambda event: {"statusCode": 200, "body": event["routeKey"]},
            "guard": lambda event: {"isAuthorized": True, "context": {"tenant": "t"}},
        }
        made = [Route(key, "door", timeout_ms, authorizer) for key in routes]
        self.gateway = Gateway(made, self.invoke, self.clock, lambda: "localhost:1")

    def invoke(self, name: str, event: Any) -> Any:
        self.events.append((name, event))
        return self.functions[name](event)

    def get(self, target: str, **given: Any) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        headers = given.pop("headers", [])
        request = Incoming(given.pop("method", "GET"), path, query, headers, given.pop("body", b""), "127.0.0.1")
        status, answered, body = self.gateway(request)
        return status, dict(answered), body

    def seen(self, target: str, **given: Any) -> dict[str, Any]:
        """The event that the function gets."""
        self.get(target, **given)
        event: dict[str, Any] = self.events[-1][1]
        return event


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/items/7", "GET /items/{id}"),
        ("GET", "/items/query", "GET /items/query"),
        ("POST", "/items/query", "ANY /items/{id}"),
        ("GET", "/items/7/parts/8", "GET /items/{id}/parts/{part}"),
        ("GET", "/items/7/parts/8/9", "GET /items/{rest+}"),
        ("GET", "/items", None),
        ("GET", "/items/", None),
        ("DELETE", "/items/7/parts/8", None),
        ("GET", "/ITEMS/7", None),
    ],
)
def test_the_most_specific_route_answers(method: str, path: str, expected: str | None) -> None:
    api = Api(
        "GET /items/{rest+}", "ANY /items/{id}", "GET /items/{id}", "GET /items/{id}/parts/{part}", "GET /items/query"
    )
    status, _, body = api.get(path, method=method)
    if expected is None:
        assert (status, json.loads(body)) == (404, {"message": "Not Found"})
        assert not api.events
    else:
        assert (status, body.decode()) == (200, expected)


def test_the_default_route_takes_what_no_other_does() -> None:
    api = Api("GET /items", "$default")
    assert api.get("/else")[2] == b"$default"
    assert api.get("/items")[2] == b"GET /items"


def test_path_parameters_are_decoded() -> None:
    event = Api("GET /items/{id}/{name}").seen("/items/a%2Fb%20c/%E4%B8%AD")
    assert event["pathParameters"] == {"id": "a/b c", "name": "中"}
    assert event["rawPath"] == "/items/a%2Fb%20c/%E4%B8%AD"


def test_the_event_of_payload_2() -> None:
    api = Api("POST /items/{id}")
    event = api.seen(
        "/items/7?a=1&b=x%20y&a=2&empty=",
        method="POST",
        headers=[
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Many", "one"),
            ("x-many", "two"),
            ("User-Agent", "test"),
            ("Cookie", "a=1; b=2"),
        ],
        body='{"hello": "世界"}'.encode(),
    )
    context = event.pop("requestContext")
    assert event == {
        "version": "2.0",
        "routeKey": "POST /items/{id}",
        "rawPath": "/items/7",
        "rawQueryString": "a=1&b=x%20y&a=2&empty=",
        "queryStringParameters": {"a": "1,2", "b": "x y", "empty": ""},
        "pathParameters": {"id": "7"},
        "cookies": ["a=1", "b=2"],
        "headers": {
            "content-type": "application/json; charset=utf-8",
            "x-many": "one,two",
            "user-agent": "test",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "http",
        },
        "body": '{"hello": "世界"}',
        "isBase64Encoded": False,
    }
    assert context["http"] == {
        "method": "POST",
        "path": "/items/7",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test",
    }
    assert context["stage"] == "$default"
    assert abs(context["timeEpoch"] - api.clock.now_ms()) < 5_000
    assert context["requestId"]


def test_a_request_without_body_or_query_has_neither() -> None:
    event = Api("GET /items").seen("/items")
    assert not {"body", "queryStringParameters", "cookies", "pathParameters"} & event.keys()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/octet-stream", b"\x00\xff"), ("application/x-www-form-urlencoded", b"a=1"), ("text/plain", b"\xff")],
)
def test_what_is_no_text_comes_in_base64(content_type: str, body: bytes) -> None:
    event = Api("POST /items").seen("/items", method="POST", headers=[("Content-Type", content_type)], body=body)
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_an_answer_with_everything() -> None:
    api = Api("GET /items")
    api.functions["door"] = lambda event: {
        "statusCode": 201,
        "headers": {"Content-Type": "image/png", "X-Number": 7},
        "cookies": ["a=1", "b=2; Secure"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    status, headers, body = api.gateway(Incoming("GET", "/items", "", [], b"", "127.0.0.1"))
    assert (status, body) == (201, b"\x89PNG")
    assert headers == [
        ("content-type", "image/png"),
        ("x-number", "7"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2; Secure"),
    ]


@pytest.mark.parametrize("answer", [{"hello": "world"}, ["a"], "text", None])
def test_an_answer_without_a_status_is_the_body(answer: Any) -> None:
    api = Api("GET /items")
    api.functions["door"] = lambda event: answer
    status, headers, body = api.get("/items")
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "many"},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "body": "not base64!", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["a"]},
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error(answer: Any) -> None:
    api = Api("GET /items")
    api.functions["door"] = lambda event: answer
    status, _, body = api.get("/items")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_raises_is_an_error() -> None:
    api = Api("GET /items")

    def door(event: Any) -> Any:
        raise LookupError

    api.functions["door"] = door
    status, _, body = api.get("/items")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_takes_too_long_is_unavailable() -> None:
    api = Api("GET /items", timeout_ms=50)
    forever = threading.Event()
    api.functions["door"] = lambda event: forever.wait(10)
    status, _, body = api.get("/items")
    forever.set()
    assert (status, json.loads(body)) == (503, {"message": "Service Unavailable"})


def test_bodies_have_a_limit() -> None:
    api = Api("POST /items")
    too_large = {"method": "POST", "headers": [("Content-Type", "text/plain")], "body": b"x" * (MAX_BODY_BYTES + 1)}
    status, _, body = api.get("/items", **too_large)
    assert (status, json.loads(body)) == (413, {"message": "Request Entity Too Large"})
    # Behind the API, Lambda takes 6 MB.
    status, _, _ = api.get("/items", **too_large | {"body": b"x" * 6_300_000})
    assert status == 413
    assert api.get("/items", **too_large | {"body": b"x" * 6_000_000})[0] == 200


def test_the_authorizer_is_asked_and_its_context_handed_on() -> None:
    api = Api("POST /items/{id}", authorizer=GUARD)
    headers = [("Authorization", "Bearer x"), ("Content-Type", "text/plain")]
    event = api.seen("/items/7?q=1", method="POST", headers=headers, body=b"secret")
    assert event["requestContext"]["authorizer"] == {"lambda": {"tenant": "t"}}
    name, asked = api.events[0]
    assert name == "guard"
    assert asked["type"] == "REQUEST"
    assert asked["headers"]["authorization"] == "Bearer x"
    assert asked["routeArn"].endswith("/$default/POST/items/{id}")
    assert asked["pathParameters"] == {"id": "7"}
    assert asked["identitySource"] is None
    assert "body" not in asked


def test_who_is_not_let_in_is_forbidden() -> None:
    api = Api("GET /items", authorizer=GUARD)
    api.functions["guard"] = lambda event: {"isAuthorized": False}
    status, _, body = api.get("/items")
    assert (status, json.loads(body)) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("answer", [None, {}, {"isAuthorized": "yes"}, "raise"])
def test_an_authorizer_that_fails_lets_nobody_in(answer: Any) -> None:
    api = Api("GET /items", authorizer=GUARD)

    def guard(event: Any) -> Any:
        if answer == "raise":
            raise LookupError
        return answer

    api.functions["guard"] = guard
    status, _, body = api.get("/items")
    assert (status, json.loads(body)) == (500, {"message": "Internal Server Error"})
    assert all(name == "guard" for name, _ in api.events)


def test_without_its_identity_source_a_request_never_reaches_the_authorizer() -> None:
    api = Api("GET /items", authorizer=Authorizer("guard", ("$request.header.Authorization",), 0))
    status, _, body = api.get("/items")
    assert (status, json.loads(body)) == (401, {"message": "Unauthorized"})
    assert not api.events
    assert api.get("/items", headers=[("Authorization", "x")])[0] == 200


def test_the_authorizers_answer_is_kept_as_long_as_it_says() -> None:
    sources = ("$request.header.Authorization", "$request.querystring.v")
    api = Api("GET /items", "GET /others", authorizer=Authorizer("guard", sources, 60))

    def asked() -> int:
        return sum(name == "guard" for name, _ in api.events)

    for path in ("/items?v=1", "/others?v=1", "/items?v=1"):
        assert api.get(path, headers=[("authorization", "x")])[0] == 200
    assert asked() == 1
    api.get("/items?v=2", headers=[("Authorization", "x")])
    assert asked() == 2
    api.clock.advance(61)
    api.get("/items?v=1", headers=[("Authorization", "x")])
    assert asked() == 3


def test_without_a_time_to_live_each_request_is_asked_about() -> None:
    api = Api("GET /items", authorizer=GUARD)
    api.get("/items")
    api.get("/items")
    assert sum(name == "guard" for name, _ in api.events) == 2


@pytest.fixture
def server() -> Iterator[Server]:
    """A server in front of an API that says what body it got."""
    api = Api("POST /items", "GET /empty", "GET /cookies")

    def door(event: Any) -> Any:
        if event["routeKey"] == "GET /empty":
            return {"statusCode": 204}
        if event["routeKey"] == "GET /cookies":
            return {"statusCode": 200, "cookies": ["a=1", "b=2"], "body": "x"}
        return {"statusCode": 200, "body": str(len(event.get("body", "")))}

    api.functions["door"] = door
    made = Server(0, {"hello": page(lambda: ("text/plain", b"hello"))})
    made.start(api.gateway)
    yield made
    made.stop()


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    """A connection to the server."""
    made = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    yield made
    made.close()


def test_a_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    connection.connect()
    first = connection.sock
    for body in (b"", b"x" * 100, b"y" * 100_000):
        connection.request("POST", "/items", body, {"Content-Type": "text/plain"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, str(len(body)).encode())
    connection.request("GET", "/empty")
    answer = connection.getresponse()
    assert (answer.status, answer.read(), answer.getheader("Content-Length")) == (204, b"", None)
    connection.request("GET", "/cookies")
    answer = connection.getresponse()
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    answer.read()
    assert connection.sock is first


def test_bodies_may_come_in_chunks(connection: http.client.HTTPConnection) -> None:
    chunks = [b"x" * 10, b"y" * 20_000]
    connection.request("POST", "/items", iter(chunks), {"Content-Type": "text/plain"}, encode_chunked=True)
    assert connection.getresponse().read() == b"20010"
    connection.request("POST", "/items", b"z", {"Content-Type": "text/plain"})
    assert connection.getresponse().read() == b"1"


def test_a_body_that_is_too_large_is_not_read(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/items")
    connection.putheader("Content-Length", str(MAX_BODY_BYTES + 1))
    connection.endheaders(b"some of it")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (413, {"message": "Request Entity Too Large"})
    assert answer.getheader("Connection") == "close"


def test_a_length_that_is_no_number_is_a_bad_request(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/items")
    connection.putheader("Content-Length", "ten")
    connection.endheaders()
    assert connection.getresponse().status == 400


def test_local_pages_are_beside_the_api(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/_local/hello")
    assert connection.getresponse().read() == b"hello"
    connection.request("GET", "/_local/nothing")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 404


def test_the_next_port_is_taken_if_one_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Server(port, {})
        try:
            assert int(server.url.rpartition(":")[2]) > port
        finally:
            server.stop()


def test_ports_end_at_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def taken(address: tuple[str, int], _handler: object) -> None:
        asked.append(address[1])
        raise OSError

    monkeypatch.setattr("local.server._Server", taken)
    with pytest.raises(PortError, match="from 65533 to 65535"):
        Server(65_533, {})
    assert asked == [65_533, 65_534, 65_535]


def test_no_port_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.server.PORTS_TO_TRY", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortError):
            Server(taken.getsockname()[1], {})
