"""The command, run in process against an API of our own."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mepush.client import api as http
from mepush.commands import watching
from mepush.main import app
from tests.unit.mepush.fake_api import KEY, FakeApi

TEMPLATE = {
    "id": "welcome",
    "name": "Welcome",
    "class": "notification",
    "accounts": ["mail"],
    "content": {"type": "email", "subject": "Hello {{ name }}", "text": "{{ note | default('-') }}"},
    "sample": {"name": "Ada"},
}


class Ran:
    """What a run printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)


Mepush = Callable[..., Ran]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """An API with the published template `welcome`."""
    monkeypatch.setattr(http, "_pause", lambda seconds: None)
    monkeypatch.setattr(watching, "_pause", lambda seconds: None)
    with FakeApi() as fake:
        fake._create_template(dict(TEMPLATE))
        fake._publish(None, "welcome", "1")
        yield fake


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No address or key from outside, and an empty folder to work in."""
    for name in ("MEPUSH_URL", "MEPUSH_KEY", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mepush(api: FakeApi, clean: None, monkeypatch: pytest.MonkeyPatch) -> Mepush:
    """Run the command against the API; nothing that it prints may hold the key."""
    monkeypatch.setenv("MEPUSH_URL", api.url)
    monkeypatch.setenv("MEPUSH_KEY", KEY)

    def run(*args: str, stdin: str | None = None) -> Ran:
        result = CliRunner().invoke(app, list(args), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert KEY not in result.output
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run
