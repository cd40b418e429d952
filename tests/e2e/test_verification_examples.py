"""The examples of signing in with a code, by FastAPI and by Django, against the local stack."""

import asyncio
import importlib.util
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.test import Client as Browser

from local.seed import EXAMPLES
from local.stack import LocalStack
from tests.e2e.verifying import Site

pytestmark = pytest.mark.xdist_group("local-stack")
numbers = count(1)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with LocalStack(threads=False, memory=True) as stack, closing(Site(stack)) as it:
        yield it


@pytest.fixture
def phone() -> str:
    return f"+86137{next(numbers):08d}"


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), EXAMPLES / "verify" / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class AsgiBrowser:
    """Posts forms to an application without a server."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app)

    def post(self, path: str, data: dict[str, str]) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://testserver") as http:
                return await http.post(path, data=data)

        return asyncio.run(ask())


def test_fastapi(site: Site, phone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPUSH_URL", site.stack.url)
    monkeypatch.setenv("MEPUSH_API_KEY", site.key)
    app = example("fastapi_app.py")
    browser = AsgiBrowser(app.app)
    with app.push:
        started = browser.post("/codes", data={"phone": phone}).json()
        site.stack.drain()
        [code] = site.codes(phone)
        entered = {"phone": phone, "code": code, **started}
        assert browser.post("/sign-in", data=entered | {"code": "0" * 7}).status_code == 403
        # The code of one's own telephone does not sign anybody else in.
        assert browser.post("/sign-in", data=entered | {"phone": "+8613700009999"}).status_code == 403
        assert browser.post("/sign-in", data=entered).json() == {"signed": "in"}
        assert browser.post("/sign-in", data=entered).status_code == 403
        for _ in range(4):
            browser.post("/codes", data={"phone": phone})
        refused = browser.post("/codes", data={"phone": phone})
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 500


def test_django(site: Site, phone: str) -> None:
    settings.configure(
        MEPUSH_URL=site.stack.url,
        MEPUSH_API_KEY=site.key,
        SECRET_KEY="of the test",
        ALLOWED_HOSTS=["testserver"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        ROOT_URLCONF=example("django_views.py"),
    )
    django.setup()
    browser = Browser()
    assert browser.post("/codes", {"phone": phone}).json() == {"sent": True}
    site.stack.drain()
    [code] = site.codes(phone)
    assert browser.post("/sign-in", {"code": "0" * 7}).status_code == 403
    assert browser.post("/sign-in", {"code": code}).json() == {"signed": "in"}
    assert browser.post("/sign-in", {"code": code}).status_code == 403
    assert browser.post("/codes", {"phone": "nonsense"}).status_code == 422
