"""What a browser is told with every answer: keep nothing, guess nothing, frame nothing, tell nobody."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import LocalStack
from shared.api.headers import with_security
from shared.api.kit import Api
from shared.api.operation import Operation
from shared.api.operations import OPERATIONS
from shared.errors import NotFoundError
from shared.model.words import Scope
from tests.security.attempts import Attempts

ALWAYS = {
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}
CALLER = {"tenant": "t", "key_id": "k", "kind": "live", "scopes": " ".join(Scope), "problem": ""}
OUTCOMES: list[Any] = [None, {"ok": True}, NotFoundError("y"), RuntimeError("boom")]


def held(headers: Mapping[str, str]) -> bool:
    return (
        all(headers.get(name) == value for name, value in ALWAYS.items())
        and "frame-ancestors 'none'" in headers.get("content-security-policy", "")
        and "default-src 'none'" in headers.get("content-security-policy", "")
    )


def answers(operation: Operation) -> Iterator[dict[str, Any]]:
    """Every way in which an operation is answered: refused before anything is done, done, and failed."""
    for outcome in OUTCOMES:

        def run(call: Any, outcome: Any = outcome) -> Any:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        for caller in (None, CALLER | {"scopes": ""}, CALLER):
            event = {"routeKey": operation.route_key, "requestContext": {"authorizer": {"lambda": caller or {}}}}
            yield Api({operation.id: run})(event)
            yield Api({operation.id: run})(event | {"body": "{", "headers": {"content-type": "text/xml"}})
    yield Api({})({"routeKey": operation.route_key})


def test_every_answer_of_every_operation_says_so(attempts: Attempts) -> None:
    for operation in OPERATIONS:
        for answer in answers(operation):
            headers = answer["headers"]
            kept = headers.get("cache-control") != "no-store"
            attempts.check(f"{operation.id}: {answer['statusCode']}", held=held(headers) and not kept)


def test_an_answers_own_headers_count() -> None:
    assert with_security({"cache-control": "public"})["cache-control"] == "public"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with LocalStack(threads=False, memory=True, log_file=Path(tmp_path_factory.mktemp("logs")) / "log") as running:
        yield running


@pytest.mark.xdist_group("local-stack")
@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_pages_are_served_to_browsers_with_their_headers_and_answer_head(
    stack: LocalStack, path: str, attempts: Attempts
) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as browser:
        page, head = browser.get(path), browser.head(path)
        again = browser.get(path, headers={"If-None-Match": page.headers["etag"]})
    assert (page.status_code, head.status_code, again.status_code) == (200, 200, 304)
    assert page.headers["content-encoding"] == "gzip"
    assert (head.content, again.content) == (b"", b"")
    for name, answer in (("get", page), ("head", head), ("not modified", again)):
        attempts.check(f"{name} {path}", held=held(answer.headers))
