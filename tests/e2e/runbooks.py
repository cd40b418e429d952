"""Plays the pages of `docs/runbooks` on the local stack: their alarms, and the commands of their sections."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore import xform_name
from typer.testing import CliRunner

from local.stack import LocalStack
from mepush.main import app

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
IN_AWS = "# in AWS"
"""What begins with it asks for something that the local stack does not have, such as the logs of CloudWatch."""
SECTIONS = ("Look", "Mend", "It is over")


@dataclass(frozen=True)
class Page:
    """A runbook. alarms: names behind the stage's prefix, with `*`. commands: those that are played, by section."""

    name: str
    alarms: tuple[str, ...]
    commands: dict[str, list[str]]


def pages() -> Iterator[Page]:
    """All of them."""
    for path in sorted(FOLDER.glob("*.md")):
        if path.name != "README.md":
            yield _read(path)


def _read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    [alarms] = re.findall(r"^Alarms: (.+)$", text, re.MULTILINE)
    parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    found = {
        section: [
            line
            for block in re.findall(r"```sh\n(.*?)```", parts[section], re.DOTALL)
            if not block.startswith(IN_AWS)
            for line in block.splitlines()
        ]
        for section in SECTIONS
    }
    return Page(path.stem, tuple(re.findall(r"`([^`]+)`", alarms)), found)


class Player:
    """Runs a page's commands for a tenant's first key."""

    def __init__(self, stack: LocalStack, key: str, page: Page) -> None:
        self._stack, self._key, self._page = stack, key, page
        self.played: list[str] = []

    def play(self, section: str, *, only: str = "", codes: tuple[int, ...] = (0,), **words: str) -> str:
        """Run the commands of a section, in order, and return what they said.

        only: those that begin so. codes: with which they may end. words: what stands for the words in capitals.
        """
        chosen = [each for each in self._page.commands[section] if each.startswith(only)]
        assert chosen, f"{self._page.name} has no such command in {section}: {only}"
        return "\n".join(self._run(each, words, codes) for each in chosen)

    def _run(self, command: str, words: dict[str, str], codes: tuple[int, ...]) -> str:
        self.played.append(command)
        filled = re.sub(r"\b[A-Z][A-Z_]{2,}\b", lambda found: words[found[0]], command)
        program, *arguments = shlex.split(filled)
        return self._aws(*arguments) if program == "aws" else self._mepush(arguments, codes)

    def _mepush(self, arguments: list[str], codes: tuple[int, ...]) -> str:
        environment = {"MEPUSH_URL": self._stack.url, "MEPUSH_KEY": self._key, "LANG": "C.UTF-8", "COLUMNS": "400"}
        ran = CliRunner().invoke(app, arguments, env=environment)
        assert ran.exit_code in codes, f"{arguments}: {ran.output}"
        return ran.output

    def _aws(self, service: str, operation: str, *options: str) -> str:
        """AWS's own command: its options are the parameters of the operation, in lower case."""
        client = self._stack.client(service)
        method = xform_name(operation.replace("-", "_"))
        names = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape.members
        by_option = {"--" + xform_name(name, "-"): (name, shape.type_name) for name, shape in names.items()}
        given: dict[str, Any] = {}
        for option, value in zip(options[::2], options[1::2], strict=True):
            name, kind = by_option[option]
            given[name] = int(value) if kind == "integer" else value
        return json.dumps(getattr(client, method)(**given), default=str)
