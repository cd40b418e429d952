"""What a web page in a developer's browser can do to the local stack: send nothing, read nothing."""

import http.client
import json
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest

from local.sandbox.base import HttpSandbox
from local.stack import LocalStack
from local.visitors import is_plain_form, refusal
from tests.security.attempts import Attempts

pytestmark = pytest.mark.xdist_group("local-stack")

HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "evil-localhost:{port}",
    "127.0.0.1@evil.example",
    "127.0.0.1:{port}, evil.example",
    "0.0.0.0:{port}",
    "127.0.0.1.nip.io:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "localhost.",
    "2130706433",
    "",
]
ORIGINS = [
    "http://evil.example",
    "https://evil.example:{port}",
    "null",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost:{port}",
    "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}@evil.example",
    "http://[",
    "file://",
    "chrome-extension://abcdef",
    "",
]
FORMS = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain; a=/json",
    "",
]
TARGETS = [
    ("GET", "/docs"),
    ("GET", "/v1/balance"),
    ("POST", "/v1/messages"),
    ("GET", "/_local/outbox"),
    ("GET", "/_local/outbox.json"),
    ("GET", "/_local/accepted"),
    ("GET", "/_local/faults"),
    ("POST", "/_local/faults"),
    ("DELETE", "/_local/faults"),
    ("GET", "/_local/events"),
    ("POST", "/_local/events"),
    ("POST", "/_local/s3/assets"),
    ("OPTIONS", "/_local/faults"),
    ("GET", "/nowhere"),
]
FAULT = json.dumps({"provider": "aws", "kind": "throttle"})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True, log_file=Path(tmp_path_factory.mktemp("logs")) / "log") as running:
        yield running


def ask(port: int, method: str, path: str, headers: Mapping[str, str], body: str = FAULT) -> http.client.HTTPResponse:
    """Ask with these headers and no others."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.format(port=port))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


def untouched(stack: LocalStack) -> bool:
    return stack.faults._entries == [] and stack.outbox.count() == 0 and not stack.runner.invocations


def own(stack: LocalStack) -> dict[str, str]:
    return {"Host": f"127.0.0.1:{stack.url.rpartition(':')[2]}"}


def strangers(host: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The headers of requests that a page from elsewhere can have a browser send."""
    json_type = {"Content-Type": "application/json"}
    yield from ({"Host": name, **json_type} for name in HOSTS)
    yield from ({**host, "Origin": origin, **json_type} for origin in ORIGINS)
    for site, mode in product(("cross-site", "same-site"), ("no-cors", "cors", "navigate", "websocket")):
        yield {**host, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": "iframe", **json_type}


def test_a_page_from_elsewhere_neither_reads_nor_does_anything(stack: LocalStack, attempts: Attempts) -> None:
    port = int(stack.url.rpartition(":")[2])
    for (method, path), headers in product(TARGETS, strangers(own(stack))):
        answer = ask(port, method, path, headers)
        allowed = [name for name, _ in answer.getheaders() if name.lower().startswith("access-control-")]
        held = answer.status == 403 and not allowed and untouched(stack)
        attempts.check(f"{method} {path} {headers}: {answer.status}", held=held)


def test_what_a_form_can_send_without_asking_is_not_taken(stack: LocalStack, attempts: Attempts) -> None:
    port = int(stack.url.rpartition(":")[2])
    for kind, path in product(FORMS, ("/_local/faults", "/_local/events")):
        answer = ask(port, "POST", path, {**own(stack), **({"Content-Type": kind} if kind else {})})
        attempts.check(f"{path} {kind}", held=answer.status == 415 and untouched(stack))


def test_the_sandboxes_turn_the_same_away(stack: LocalStack, attempts: Attempts) -> None:
    for name, sandbox in stack.sandboxes.items():
        if isinstance(sandbox, HttpSandbox):
            port = sandbox.port
            for headers in strangers({"Host": f"127.0.0.1:{port}"}):
                answer = ask(port, "POST", "/", headers)
                attempts.check(f"{name} {headers}: {answer.status}", held=answer.status == 403 and untouched(stack))


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}"])
def test_programs_and_the_servers_own_pages_are_answered(stack: LocalStack, host: str) -> None:
    port = int(stack.url.rpartition(":")[2])
    for more in (
        {},
        {"Origin": f"http://{host}"},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):
        assert ask(port, "GET", "/_local/outbox", {"Host": host} | more).status == 200


def test_headers_that_come_twice_are_judged_each() -> None:
    own = ("Host", "localhost:1")
    assert refusal("GET", [own]) is None
    assert refusal("GET", [own, ("host", "evil.example")])
    assert refusal("GET", [own, ("Origin", "http://localhost:1"), ("origin", "http://evil.example")])
    assert refusal("GET", [own, ("Sec-Fetch-Site", "same-origin"), ("sec-fetch-site", "cross-site")])
    assert refusal("GET", [])
    assert is_plain_form("POST", [("Content-Type", "application/json"), ("content-type", "text/plain")])


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/x-amz-json-1.1"])
def test_json_is_no_form(kind: str) -> None:
    assert not is_plain_form("POST", [("Content-Type", kind)])
    assert not is_plain_form("DELETE", [])
