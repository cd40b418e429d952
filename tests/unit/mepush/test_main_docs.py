"""Every command line in the docs is one that the command takes: its words, options and arguments are there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from mepush.main import app
from tests.unit.mepush.fake_api import KEY, FakeApi

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_START = re.compile(r"^(?:\S*/)?mepush\s")


def lines(page: Path) -> list[list[str]]:
    """The words of each `mepush ...` in the page's shell blocks, without comments."""
    text = "\n".join(_BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in text.splitlines() if _START.match(line)]


def wrong(words: list[str]) -> str:
    """What the command would say is wrong with these words; empty if nothing."""
    command: Any = get_command(app)
    context = typer.Context(command)
    while hasattr(command, "commands"):
        words = words[2:] if words[:1] == ["--profile"] else words
        if not words or words[0].startswith("-"):
            break
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    try:
        with command.make_context("mepush", list(words), resilient_parsing=False):
            pass
    except typer.Exit:
        return ""
    except Exception as error:  # of any kind: it is what the line in the page is told
        said = error.format_message() if hasattr(error, "format_message") else repr(error)
        # A file of the reader's own is none of this checkout's.
        return "" if "does not exist" in said else said
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_are_taken(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert [(words, said) for words in lines(page) if (said := wrong(words))] == []


def test_there_are_commands_to_look_at_and_wrong_ones_are_found() -> None:
    assert sum(len(lines(page)) for page in PAGES) > 60
    assert wrong(["send", "--template", "a", "--toto", "b"])
    assert wrong(["campaign", "begin", "spring"])
    assert wrong(["template", "show"])


def test_the_pages_program_does_what_it_says(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/api.md", "exec"), {"url": api.url, "key": KEY})
    status, template, error = capsys.readouterr().out.splitlines()
    assert (status, template) == ("sent", "welcome")
    assert error.startswith("422 urn:mepush:problem:") and "no-such-template" in error
