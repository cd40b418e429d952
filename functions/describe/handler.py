"""Serves the API's description, as OpenAPI and as a page, from files that were rendered when the package was built.

Anybody may call it without a key. Therefore it has no rights, loads nothing, and its answers are small and kept by
caches.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shared.api.docs_page import POLICY
from shared.api.headers import with_security
from shared.base.garbage import resume

FOLDER = Path(__file__).parents[2] / "build" / "pages"
"""Where the files are, in the function's package as in the repository; `infra/pages.py` renders them."""
MAX_AGE_S = 300
_FILES = {
    "/docs": ("docs.html.gz", {"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY}),
    "/openapi.json": ("openapi.json.gz", {"content-type": "application/json"}),
}


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it is sent."""

    packed: bytes
    """Its text by gzip."""
    headers: Mapping[str, str]


@cache
def _page(path: str) -> _Page:
    name, own = _FILES[path]
    packed = (FOLDER / name).read_bytes()
    etag = f'"{hashlib.sha256(packed).hexdigest()[:32]}"'
    # The tag is of what is described: of both forms in which it is sent, hence weak.
    caching = {"cache-control": f"public, max-age={MAX_AGE_S}", "etag": f"W/{etag}", "vary": "Accept-Encoding"}
    return _Page(packed, with_security({**own, **caching}))


def lambda_handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0) for GET or HEAD."""
    method, _, path = event["routeKey"].partition(" ")
    page, asked = _page(path), event.get("headers") or {}
    headers = dict(page.headers)
    if _knows(asked, headers["etag"]):
        return {"statusCode": 304, "headers": headers}
    answer: dict[str, Any] = {"statusCode": 200, "headers": headers}
    packs = _takes_gzip(asked)
    if packs:
        headers["content-encoding"] = "gzip"
    if method == "HEAD":
        return answer
    if packs:
        return {**answer, "isBase64Encoded": True, "body": base64.b64encode(page.packed).decode()}
    return {**answer, "body": gzip.decompress(page.packed).decode()}


def _knows(asked: Mapping[str, str], etag: str) -> bool:
    tags = [tag.strip() for tag in asked.get("if-none-match", "").split(",")]
    return "*" in tags or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]


def _takes_gzip(asked: Mapping[str, str]) -> bool:
    """Whether gzip is named without a weight of nothing (RFC 9110, 12.5.3)."""
    for each in asked.get("accept-encoding", "").lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return weight.strip().replace(" ", "").rstrip("0").rstrip(".") != "q="
    return False


resume()
