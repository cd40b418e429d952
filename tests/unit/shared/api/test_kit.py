"""Events to calls, results and errors to answers."""

import base64
import json
import logging
from typing import Any

import pytest
from pydantic import BaseModel

from shared.api.kit import Api, Call, OperationFunction
from shared.api.operation import MAX_BODY_BYTES
from shared.base.settings import ConfigurationError
from shared.errors import ConflictError, FieldError, NotQueuedError, PlatformError, invalid
from shared.model.words import KeyKind, Scope
from shared.store.catalog_items import CatalogConflictError
from shared.store.dynamo import StoreError
from tests.fakes import logged

SEND = "POST /v1/messages"
GOOD = {"template": "code", "to": "a@example.com"}
CALLER = {
    "tenant": "default",
    "key_id": "k1",
    "kind": "live",
    "scopes": "send read manage operate unmask",
    "problem": "",
}


def event(route: str, body: Any = None, caller: Any = CALLER, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "routeKey": route,
        "headers": {"content-type": "application/json"},
        "requestContext": {"authorizer": {"lambda": caller}} if caller is not None else {},
    }
    if body is not None:
        found["body"] = body if isinstance(body, str) else json.dumps(body)
    return found | changes


def ask(answer: dict[str, Any]) -> tuple[int, Any]:
    return answer["statusCode"], json.loads(answer["body"])


class Spy:
    """An operation that remembers its call."""

    def __init__(self, result: Any = None, error: Exception | None = None) -> None:
        self.calls: list[Call] = []
        self._result, self._error = result, error

    def __call__(self, call: Call) -> Any:
        self.calls.append(call)
        if self._error is not None:
            raise self._error
        return self._result


def api(**functions: OperationFunction) -> Api:
    return Api(functions)


def test_a_call_holds_what_the_caller_gave() -> None:
    spy = Spy({"ok": True})
    status, body = ask(api(send_messages=spy)(event(SEND, GOOD, headers={"idempotency-key": "x"})))
    assert (status, body) == (202, {"ok": True})
    call = spy.calls[0]
    assert call.body.template == "code"
    assert call.headers["idempotency-key"] == "x"
    assert json.loads(call.raw_body) == GOOD
    assert (call.caller.tenant, call.caller.key_id, call.caller.kind) == ("default", "k1", KeyKind.LIVE)
    assert call.caller.scopes == frozenset(Scope)


def test_path_and_query_are_handed_on() -> None:
    spy = Spy({})
    functions = api(get_request=spy)
    answer = functions(
        event("GET /v1/requests/{id}", pathParameters={"id": "R1"}, queryStringParameters={"limit": "7"})
    )
    assert answer["statusCode"] == 200
    assert spy.calls[0].path == {"id": "R1"}
    assert (spy.calls[0].query.limit, spy.calls[0].query.cursor) == (7, None)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"limit": "1,2"}])
def test_a_bad_query_names_its_parameter(query: dict[str, str]) -> None:
    answer = api(get_request=Spy({}))(event("GET /v1/requests/{id}", queryStringParameters=query))
    status, body = ask(answer)
    assert status == 422
    assert [e["field"] for e in body["errors"]] == ["query.limit"]


def test_an_unknown_query_parameter_is_refused() -> None:
    status, body = ask(api(get_request=Spy({}))(event("GET /v1/requests/{id}", queryStringParameters={"page": "2"})))
    assert (status, body["errors"][0]["field"]) == (422, "query.page")


def test_a_base64_body_is_read() -> None:
    spy = Spy({})
    encoded = base64.b64encode(json.dumps(GOOD | {"to": "漢@example.com"}).encode()).decode()
    assert api(send_messages=spy)(event(SEND, encoded, isBase64Encoded=True))["statusCode"] == 202
    assert spy.calls[0].body.to == "漢@example.com"


@pytest.mark.parametrize(
    ("body", "base64_encoded"),
    [("", False), ("{", False), ("not json", False), ('{"template": }', False), ("%%%", True), ("/w==", True)],
)
def test_what_is_not_json_is_400(body: str, base64_encoded: bool) -> None:
    status, problem = ask(api(send_messages=Spy())(event(SEND, body, isBase64Encoded=base64_encoded)))
    assert (status, problem["type"]) == (400, "urn:mepush:problem:malformed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "template"),
        ({"template": "code"}, ""),
        (GOOD | {"too": "x"}, "too"),
        (GOOD | {"template": 5}, "template"),
        (GOOD | {"ttl": 5}, "ttl"),
        (GOOD | {"send_at": "2025-01-01T00:00:00"}, "send_at"),
        ({"template": "code", "recipients": [{"to": "a"}, {"ot": "b"}]}, "recipients.1.to"),
        ({"template": "code", "recipients": [{"to": "a", "variables": []}]}, "recipients.0.variables"),
        ({"template": "code", "recipients": []}, "recipients"),
        ([], ""),
        ("null", ""),
    ],
)
def test_a_wrong_field_is_named_and_its_value_kept_back(body: Any, field: str) -> None:
    answer = api(send_messages=Spy())(event(SEND, body))
    status, problem = ask(answer)
    assert status == 422
    assert field in [e["field"] for e in problem["errors"]]
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert "a@example.com" not in answer["body"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"type": "email", "text": "x"}, "content.subject"),
        ({"type": "email", "subject": "x", "text": 5}, "content.text"),
        ({"type": "email", "subject": "x"}, "content"),
        ({"type": "text", "content": 5}, "content.content"),
        ({"type": "news", "articles": [{"title": "x"}]}, "content.articles.0.url"),
        ({"type": "fax"}, "content"),
        (None, "content"),
    ],
)
def test_the_path_within_content_is_the_callers(content: Any, field: str) -> None:
    answer = api(create_version=Spy())(event("POST /v1/templates/{id}/versions", {"content": content}))
    assert [e["field"] for e in ask(answer)[1]["errors"]] == [field]


def test_many_errors_are_cut_at_fifty() -> None:
    body = {"template": "code", "recipients": [{} for _ in range(200)]}
    status, problem = ask(api(send_messages=Spy())(event(SEND, body)))
    assert status == 422
    assert len(problem["errors"]) == 50
    assert "200" in problem["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_another_content_type_is_415(content_type: str) -> None:
    answer = api(send_messages=Spy())(event(SEND, GOOD, headers={"content-type": content_type}))
    assert ask(answer)[0] == 415


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "Application/JSON; charset=utf-8"}, {"content-type": "application/vnd.x+json"}]
)
def test_json_by_any_of_its_names_is_read(headers: dict[str, str]) -> None:
    assert api(send_messages=Spy({}))(event(SEND, GOOD, headers=headers))["statusCode"] == 202


def test_a_body_too_large_is_413_before_it_is_read() -> None:
    status, problem = ask(api(send_messages=Spy())(event(SEND, " " * (MAX_BODY_BYTES + 1))))
    assert (status, problem["type"]) == (413, "urn:mepush:problem:too-large")
    assert ask(api(send_messages=Spy({}))(event(SEND, json.dumps(GOOD).ljust(MAX_BODY_BYTES))))[0] == 202


@pytest.mark.parametrize(
    ("caller", "detail"),
    [
        (None, "Bearer"),
        ({}, "Bearer"),
        (CALLER | {"problem": "This API key has been revoked."}, "revoked"),
        (CALLER | {"tenant": ""}, "Bearer"),
        ({k: v for k, v in CALLER.items() if k != "problem"}, "Bearer"),
    ],
)
def test_without_a_good_key_nothing_is_done(caller: Any, detail: str) -> None:
    spy = Spy({})
    answer = api(send_messages=spy)(event(SEND, GOOD, caller))
    status, problem = ask(answer)
    assert status == 401
    assert detail in problem["detail"]
    assert answer["headers"]["www-authenticate"] == "Bearer"
    assert spy.calls == []


def test_without_the_scope_nothing_is_done_and_the_body_not_judged() -> None:
    spy = Spy({})
    status, problem = ask(api(send_messages=spy)(event(SEND, "not json", CALLER | {"scopes": "read manage"})))
    assert status == 403
    assert "`send`" in problem["detail"]
    assert spy.calls == []


def test_an_open_route_needs_no_key() -> None:
    assert ask(api(get_docs=Spy({"a": 1}))(event("GET /docs", caller=None))) == (200, {"a": 1})


def test_nothing_to_say_has_no_body() -> None:
    answer = api(revoke_key=Spy(None))(event("DELETE /v1/keys/{id}", pathParameters={"id": "x"}))
    assert answer["statusCode"] == 204
    assert "body" not in answer


def test_an_unknown_route_is_404() -> None:
    assert ask(api()(event("GET /nowhere")))[0] == 404
    assert ask(api()({}))[0] == 500


def test_problems_are_answered_as_they_are() -> None:
    errors = [FieldError(field="to", message="wrong")]
    for error, status in ((ConflictError("busy"), 409), (invalid(errors), 422)):
        answered, body = ask(api(send_messages=Spy(error=error))(event(SEND, GOOD)))
        assert answered == body["status"] == status
    assert body["errors"] == [{"field": "to", "message": "wrong"}]


def test_headers_of_a_problem_are_sent() -> None:
    error = NotQueuedError("d")
    assert api(send_messages=Spy(error=error))(event(SEND, GOOD))["headers"]["Retry-After"] == "1"


class _Model(BaseModel):
    a: int | None = None


def test_models_are_written_whole() -> None:
    assert ask(api(send_messages=Spy(_Model()))(event(SEND, GOOD))) == (202, {"a": None})


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [(StoreError, 503, "unavailable"), (CatalogConflictError, 409, "conflict"), (ConfigurationError, 500, "internal")],
)
def test_an_error_that_is_not_for_callers_is_logged_and_answered_by_its_kind(
    kind: type[PlatformError], status: int, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = api(send_messages=Spy(error=kind("a@example.com 428113")))(event(SEND, GOOD))
    answered, problem = ask(answer)
    assert (answered, problem["type"]) == (status, f"urn:mepush:problem:{word}")
    assert ("Retry-After" in answer["headers"]) == (status != 500)
    assert kind.__name__ in logged(caplog.records)
    assert "428113" not in answer["body"] + logged(caplog.records)


def test_an_error_of_ours_is_500_and_says_nothing_of_the_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = api(send_messages=Spy(error=RuntimeError("a@example.com 428113")))(event(SEND, GOOD))
    status, problem = ask(answer)
    assert (status, problem["type"]) == (500, "urn:mepush:problem:internal")
    told = answer["body"] + logged(caplog.records)
    assert "RuntimeError" in told
    assert "a@example.com" not in told
    assert "428113" not in told
