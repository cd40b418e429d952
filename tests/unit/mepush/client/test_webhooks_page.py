"""The receiver that the documentation shows, as it stands there."""

import asyncio
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from functions.webhooks.signing import new_secret, signed_headers

PAGE = Path(__file__).parents[4] / "docs" / "webhooks.md"


class App:
    """As much of FastAPI as the page needs."""

    def post(self, path: str, status_code: int) -> Any:
        return lambda function: function


class HTTPException(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers, self._body = headers, body

    async def body(self) -> bytes:
        return self._body


def test_the_receiver_of_the_page_takes_what_is_ours_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    fastapi: Any = ModuleType("fastapi")
    fastapi.FastAPI, fastapi.HTTPException, fastapi.Request = App, HTTPException, Request
    monkeypatch.setitem(sys.modules, "fastapi", fastapi)
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    kept: list[Any] = []

    async def keep(id: str, event: Any) -> None:
        kept.append((id, event["type"]))

    page: dict[str, Any] = {"keep": keep}
    exec(compile(code, str(PAGE), "exec"), page)
    page["SECRET"] = secret = new_secret()
    body = b'{"type":"message.sent"}'
    headers = signed_headers("msg_1", int(time.time()), body, [secret])

    asyncio.run(page["take"](Request(headers, body)))
    with pytest.raises(HTTPException) as refused:
        asyncio.run(page["take"](Request(headers, body + b" ")))

    assert kept == [("msg_1", "message.sent")] and refused.value.status == 400
