"""The HTTP client: what it tries again, and what it says when things go wrong."""

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mepush.client.api import TRIES, Client
from mepush.client.errors import ApiError, ConnectionProblemError, UsageError

URL = "https://api.example.com"
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, url: str = URL) -> tuple[Client, list[float]]:
    pauses: list[float] = []
    return Client(url, "mp_live_x", httpx.MockTransport(handler), pauses.append), pauses


def playing(*answers: httpx.Response | type[httpx.HTTPError]) -> tuple[Handler, list[httpx.Request]]:
    """A handler that plays these in order, the last one for ever."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        answer = answers[min(len(seen), len(answers) - 1)]
        seen.append(request)
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, content=answer.content)
        raise answer("secret details")

    return handle, seen


def answer(**values: Any) -> httpx.Response:
    return httpx.Response(202, json={"request_id": "r", "not_queued": 0, **values})


def test_the_key_goes_into_the_header_and_nowhere_else() -> None:
    handle, seen = playing(httpx.Response(200, json={"ok": True}))
    api, _ = client(handle)
    assert api.get("/v1/x", limit=2, cursor=None) == {"ok": True}
    assert seen[0].headers["authorization"] == "Bearer mp_live_x"
    assert str(seen[0].url) == f"{URL}/v1/x?limit=2"


def test_a_send_is_repeated_under_one_idempotency_key_until_all_is_queued() -> None:
    handle, seen = playing(httpx.ReadTimeout, httpx.Response(503), answer(not_queued=3), answer())
    api, pauses = client(handle)
    assert api.send({"template": "t"})["not_queued"] == 0
    keys = {request.headers["idempotency-key"] for request in seen}
    assert len(seen) == 4
    assert len(keys) == 1
    assert len(pauses) == 3
    api.send({"template": "t"})
    assert seen[-1].headers["idempotency-key"] not in keys


def test_a_send_that_another_try_still_carries_out_is_asked_again() -> None:
    busy = httpx.Response(409, json={"title": "Not possible now", "detail": "It is being carried out."})
    handle, seen = playing(busy, answer())
    api, _ = client(handle)
    assert api.send({}, "mine")["request_id"] == "r"
    assert [request.headers["idempotency-key"] for request in seen] == ["mine", "mine"]


def test_tries_are_bounded_and_what_is_left_unqueued_is_returned() -> None:
    handle, seen = playing(answer(not_queued=1))
    api, _ = client(handle)
    assert api.send({})["not_queued"] == 1
    assert len(seen) == TRIES
    handle, seen = playing(httpx.Response(503, json={"title": "Nothing could be queued"}))
    api, _ = client(handle)
    with pytest.raises(ApiError, match="Nothing could be queued"):
        api.get("/v1/x")
    assert len(seen) == TRIES


def test_what_changes_something_is_tried_once() -> None:
    handle, seen = playing(httpx.ReadTimeout)
    api, _ = client(handle)
    with pytest.raises(ConnectionProblemError, match="took the request but did not answer in time"):
        api.post("/v1/keys", {})
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout, "did not answer in time"),
        (httpx.ReadTimeout, "took the request but did not answer in time"),
        (httpx.RemoteProtocolError, "broke before an answer came"),
    ],
)
def test_network_errors_are_sentences_without_details(error: type[httpx.HTTPError], words: str) -> None:
    handle, _ = playing(error)
    api, _ = client(handle)
    with pytest.raises(ConnectionProblemError) as caught:
        api.get("/v1/x")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_refused_connection_says_that_nothing_listens_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url, "k") as api, pytest.raises(ConnectionProblemError, match="nothing listens there"):
            api.get("/v1/x")


def test_problem_details_become_a_sentence_and_a_line_per_field() -> None:
    body = {
        "type": "urn:mepush:problem:invalid-request",
        "title": "The request is not valid",
        "detail": "2 field(s) are not valid.",
        "errors": [{"field": "ttl", "message": "too small"}, {"field": "", "message": "give either to or recipients"}],
    }
    handle, _ = playing(httpx.Response(422, json=body))
    api, _ = client(handle)
    with pytest.raises(ApiError) as caught:
        api.send({})
    assert str(caught.value) == "The request is not valid: 2 field(s) are not valid."
    assert caught.value.details == [("ttl", "too small"), ("", "give either to or recipients")]
    assert caught.value.as_json()["status"] == 422


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps({"message": "Forbidden"}).encode(), "The API answered 403: Forbidden"),
        (b"<html>proxy</html>", "The API answered 403"),
        (b"[1]", "The API answered 403"),
    ],
)
def test_errors_that_are_no_problem_details_are_readable_too(content: bytes, words: str) -> None:
    handle, _ = playing(httpx.Response(403, content=content))
    api, _ = client(handle)
    with pytest.raises(ApiError) as caught:
        api.get("/v1/x")
    assert str(caught.value) == words


def test_an_answer_that_is_not_json_asks_for_the_address() -> None:
    handle, _ = playing(httpx.Response(200, content=b"<html>"))
    api, _ = client(handle)
    with pytest.raises(ConnectionProblemError, match="is not JSON"):
        api.get("/v1/x")


def test_pages_are_followed_to_the_end() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        return httpx.Response(200, json={"things": [cursor], "cursor": {None: "b", "b": "c", "c": None}[cursor]})

    api, _ = client(handle)
    assert list(api.pages("/v1/things", "things")) == [None, "b", "c"]


@pytest.mark.parametrize("url", ["", "api.example.com", "ftp://api.example.com", "https://", "http://[", "http://h:x"])
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is not a web address"):
        Client(url, "k")


def test_the_key_never_goes_out_in_the_clear() -> None:
    with pytest.raises(UsageError, match="in the clear"):
        Client("http://api.example.com", "k")
    Client("http://127.0.0.1:1", "k").close()


@pytest.mark.parametrize("key", ["", " ", "a\nb", "mp_live_é"])
def test_keys_that_no_header_can_hold_are_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client(URL, key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("detail", "field", "message", "words", "details"),
    [
        ("there is no template `x`", "template", "there is no template `x`", "No", [("template",)]),
        ("Send at most 5,000,000 bytes.", "", "send at most 5,000,000 bytes", "No: Send at most 5,000,000 bytes.", []),
        ("It has expired.", "Authorization", "It has expired.", "No: It has expired.", []),
        ("It does not fit.", "to", "has no @", "No: It does not fit.", [("to",)]),
    ],
)
def test_a_single_finding_is_said_once(
    detail: str, field: str, message: str, words: str, details: list[tuple[str]]
) -> None:
    error = ApiError(422, "", "No", detail, [(field, message)])
    assert str(error) == words
    assert error.details == [(field, message) for (field,) in details]
