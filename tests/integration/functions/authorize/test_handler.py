"""The authorizer: who calls, or what is wrong with the key."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from functions.authorize import handler
from functions.authorize.deps import AuthorizeDeps, deps
from shared.model.keys import ApiKey, new_secret
from shared.model.words import KeyKind, Scope
from shared.store.catalog import Catalog
from tests.conftest import Aws
from tests.fakes import FakeClock, logged
from tests.samples import change


@pytest.fixture
def parts(aws: Aws, clock: FakeClock) -> AuthorizeDeps:
    return AuthorizeDeps(Catalog(aws.dynamodb, aws.catalog, clock), clock)


def make(parts: AuthorizeDeps, kind: KeyKind = KeyKind.LIVE, **changes: Any) -> str:
    key_id, text, digest = new_secret(kind)
    values: dict[str, Any] = {
        "id": key_id,
        "tenant": "default",
        "name": "k",
        "kind": kind,
        "scopes": [Scope.SEND, Scope.READ],
        "hash": digest,
        "created_at": 1,
    }
    parts.keys.create_key(ApiKey(**{**values, **changes}), change())
    return text


def ask(parts: AuthorizeDeps, header: str | None) -> dict[str, str]:
    return handler.authorize({"headers": {} if header is None else {"authorization": header}}, parts)


def refused(problem: str) -> dict[str, str]:
    return {"tenant": "", "key_id": "", "kind": "", "scopes": "", "problem": problem}


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_good_key_tells_who_calls(parts: AuthorizeDeps, kind: KeyKind, scheme: str) -> None:
    text = make(parts, kind)
    assert ask(parts, f"{scheme} {text}") == {
        "tenant": "default",
        "key_id": text.split("_")[2],
        "kind": kind.value,
        "scopes": "send read",
        "problem": "",
    }


@pytest.mark.parametrize("header", [None, "", "  "])
def test_no_key(parts: AuthorizeDeps, header: str | None) -> None:
    assert ask(parts, header) == refused(handler.MISSING)


def test_no_headers_at_all(parts: AuthorizeDeps) -> None:
    assert handler.authorize({}, parts) == refused(handler.MISSING)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Basic dTpw", "Bearer mp_live_short_x", "Bearer a,Bearer b", "mp_live"]
)
def test_a_malformed_key(parts: AuthorizeDeps, header: str) -> None:
    assert ask(parts, header) == refused(handler.MALFORMED)


def test_a_key_without_bearer(parts: AuthorizeDeps) -> None:
    assert ask(parts, make(parts)) == refused(handler.MALFORMED)


def test_an_unknown_id_a_wrong_secret_and_a_wrong_kind_look_alike(parts: AuthorizeDeps) -> None:
    text = make(parts)
    other = text[:-1] + ("0" if text[-1] != "0" else "1")
    for wrong in (new_secret(KeyKind.LIVE)[1], other, text.replace("mp_live", "mp_test")):
        assert ask(parts, f"Bearer {wrong}") == refused(handler.UNKNOWN)


def test_an_expired_key_says_when(parts: AuthorizeDeps, clock: FakeClock) -> None:
    text = make(parts, expires_at=clock.now_ms() + 1000)
    assert ask(parts, f"Bearer {text}")["problem"] == ""
    clock.advance(1)
    assert ask(parts, f"Bearer {text}") == refused("This API key expired at 2025-01-15T10:00:01.000Z; ask for another.")


def test_a_revoked_key_stops_within_thirty_seconds(parts: AuthorizeDeps, clock: FakeClock, aws: Aws) -> None:
    text = make(parts)
    assert ask(parts, f"Bearer {text}")["problem"] == ""
    other = Catalog(aws.dynamodb, aws.catalog, clock)
    found = other.load_key("default", text.split("_")[2])
    assert found is not None
    other.update_key(found.value.model_copy(update={"revoked_at": clock.now_ms()}), found.rev, change())
    clock.advance(30)
    assert ask(parts, f"Bearer {text}") == refused(handler.REVOKED)


def test_what_is_wrong_with_a_key_is_told_to_its_holder_only(parts: AuthorizeDeps, clock: FakeClock) -> None:
    text = make(parts, revoked_at=5, expires_at=5)
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert ask(parts, f"Bearer {wrong}") == refused(handler.UNKNOWN)


@pytest.fixture
def _deployed(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CATALOG_TABLE", aws.catalog)
    deps.cache_clear()
    yield
    deps.cache_clear()


@pytest.mark.usefixtures("_deployed")
def test_the_handler_lets_all_through_and_keeps_the_key_to_itself(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    text = make(deps())
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    for header, problem in (
        (f"Bearer {text}", ""),
        (f"Bearer {wrong}", handler.UNKNOWN),
        ("x", handler.MALFORMED),
    ):
        answer = handler.lambda_handler({"headers": {"authorization": header}}, None)
        assert answer["isAuthorized"] is True
        assert answer["context"]["problem"] == problem
    out, err = capsys.readouterr()
    secret = text.split("_")[3]
    assert secret[:-1] not in logged(caplog.records) + out + err


def test_a_catalog_that_cannot_be_read_lets_nobody_in(aws: Aws, clock: FakeClock) -> None:
    broken = AuthorizeDeps(Catalog(aws.dynamodb, "no-such-table", clock), clock)
    with pytest.raises(Exception, match="ResourceNotFoundException"):
        ask(broken, f"Bearer {new_secret(KeyKind.LIVE)[1]}")
