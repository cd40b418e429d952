"""The function that serves the API's description: what it costs, what caches keep, what browsers may do with it."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from functions.describe import handler
from infra import pages
from shared.api.docs_page import POLICY
from shared.api.openapi import document

TYPES = {"/docs": "text/html; charset=utf-8", "/openapi.json": "application/json"}


@pytest.fixture(scope="module", autouse=True)
def rendered(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The files of this state of the code, where the handler looks for them."""
    root = tmp_path_factory.mktemp("package")
    pages.write(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "FOLDER", root / pages.FOLDER)
        handler._page.cache_clear()
        for path in TYPES:
            handler._page(path)


def ask(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return handler.lambda_handler({"routeKey": f"{method} {path}", "headers": given}, None)


def text(answer: dict[str, Any]) -> str:
    if not answer.get("isBase64Encoded"):
        return str(answer["body"])
    return gzip.decompress(base64.b64decode(answer["body"])).decode()


@pytest.mark.parametrize("path", TYPES)
@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("gzip;q=0.5", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_page_is_packed_for_who_takes_it(path: str, accepted: str, packed: bool) -> None:
    answer = ask(path, accept_encoding=accepted)
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == TYPES[path]
    assert answer["headers"].get("content-encoding") == ("gzip" if packed else None)
    assert text(answer) == text(ask(path))
    if packed:
        assert len(base64.b64decode(answer["body"])) < 64_000


def test_what_is_served_is_what_the_code_describes() -> None:
    assert json.loads(text(ask("/openapi.json"))) == document()
    assert text(ask("/docs")).startswith("<!doctype html>")


@pytest.mark.parametrize("path", TYPES)
def test_who_has_it_is_told_so(path: str) -> None:
    etag = ask(path)["headers"]["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        answer = ask(path, if_none_match=known)
        assert (answer["statusCode"], answer.get("body")) == (304, None)
        assert answer["headers"]["etag"] == etag
    assert ask(path, if_none_match='"other"')["statusCode"] == 200


@pytest.mark.parametrize("path", TYPES)
def test_head_tells_the_same_without_the_body(path: str) -> None:
    assert ask(path, "HEAD", accept_encoding="gzip") == {
        "statusCode": 200,
        "headers": ask(path, accept_encoding="gzip")["headers"],
    }


def test_caches_may_keep_it_and_nobody_may_frame_it() -> None:
    headers = ask("/docs")["headers"]
    assert headers["cache-control"] == "public, max-age=300"
    assert headers["vary"] == "Accept-Encoding"
    assert headers["content-security-policy"] == POLICY
    assert "frame-ancestors 'none'" in POLICY


def test_the_same_description_makes_the_same_files(tmp_path: Path) -> None:
    pages.write(tmp_path)
    pages.render.cache_clear()
    assert {path.name: path.read_bytes() for path in (tmp_path / pages.FOLDER).iterdir()} == pages.render()
