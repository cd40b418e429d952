"""What the command prints: tables for people, or one JSON document on stdout and nothing else."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from unicodedata import category

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from mepush.client.api import Client
from mepush.client.connection import find_connection
from mepush.client.errors import MepushError

PIPED_WIDTH = 160
"""Columns when the output is no terminal, so that ids are not cut."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Address of the API. Else MEPUSH_URL, else the local stack's.")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="API key, or @file to read it from. Else MEPUSH_KEY, which other users cannot see."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def make_console(stderr: bool = False) -> Console:
    """A console that prints text as it is: no markup, no emoji codes, no guessing of colours; it obeys NO_COLOR."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width, soft_wrap=False)


def plain(value: object) -> str:
    """Text from elsewhere without control characters, which could move the cursor or recolour the terminal."""
    return "".join(c for c in str(value) if c in "\n\t" or (c not in _BIDI and category(c) not in {"Cc", "Cs"}))


LEAST_PROSE = 24
"""Columns that a sentence needs to be read; a table that has less for one is shown as a list."""


class Listing(Table):
    """A table that never cuts an id in two: where the terminal is too narrow, each row becomes a short paragraph."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = sum(self._needs(column) + self.padding[1] for column in self.columns)
        if needed > options.max_width:
            yield from self._paragraphs()
        else:
            yield from super().__rich_console__(console, options)

    @staticmethod
    def _needs(column: Column) -> int:
        """How wide a column must be; one without blanks in its cells keeps its width."""
        cells = [str(cell) for cell in column.cells]
        widest = max(cell_len(line) for text in (str(column.header), *cells) for line in text.split("\n"))
        column.no_wrap = not any(" " in cell for cell in cells)
        return widest if column.no_wrap else min(widest, LEAST_PROSE)

    def _paragraphs(self) -> Iterator[RenderableType]:
        labels = [str(column.header) for column in self.columns]
        for first, *others in zip(*(column.cells for column in self.columns), strict=True):
            yield Text(str(first), style="bold")
            said = [
                f"{label}: {cell}".removeprefix(": ")
                for label, cell in zip(labels[1:], others, strict=True)
                if cell not in {"", "-"}
            ]
            yield Padding(Text(" · ".join(said)), (0, 0, 0, 2))


def table(*columns: str) -> Table:
    """A plain table."""
    made = Listing(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def row(made: Table, *cells: object) -> None:
    """Add a row; None becomes a dash."""
    made.add_row(*("-" if cell is None else plain(cell) for cell in cells))


class Output:
    """Prints results, either way."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = make_console()
        self.errors = make_console(stderr=True)

    def result(self, data: Any, show: Callable[[Console], None]) -> None:
        """Print `data` as JSON, or let `show` print it for people."""
        if self.as_json:
            ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
            print(json.dumps(data, ensure_ascii=ascii_only, indent=2))
        else:
            show(self.console)

    def say(self, text: str) -> None:
        """Tell a person something besides the result: on stderr, and not at all with --json."""
        if not self.as_json:
            self.errors.print(plain(text), soft_wrap=True)

    def error(self, error: MepushError) -> None:
        """Print an error: plain sentences on stderr, or the JSON document."""
        if self.as_json:
            self.result(error.as_json(), lambda _: None)
            return
        self.errors.print(plain(error), style="red")
        for field, message in error.details:
            self.errors.print(plain(f"  {field}: {message}" if field else f"  {message}"))
        if error.hint:
            self.errors.print(plain(error.hint), soft_wrap=True)


@contextmanager
def reporting(as_json: bool) -> Iterator[Output]:
    """Print what a command raises and end it with the right exit code; never a traceback for what is foreseen."""
    out = Output(as_json)
    try:
        yield out
    except MepushError as error:
        out.error(error)
        raise typer.Exit(error.exit_code) from None


@contextmanager
def session(url: str | None, key: str | None, as_json: bool) -> Iterator[tuple[Client, Output]]:
    """Open the API for a command and report its errors."""
    with reporting(as_json) as out:
        connection = find_connection(url, key)
        with Client(connection.url, connection.key) as api:
            yield api, out


def fail_if(failed: bool) -> None:
    """End the command with exit code 1."""
    if failed:
        raise typer.Exit(1)


def parse_time(text: str) -> datetime:
    """Read a time with its zone, as 2026-11-24T09:00:00+08:00. Raises: typer.BadParameter."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is no time with a zone; give it as 2026-11-24T09:00:00+08:00 or ...Z")
    return found


def parse_pairs(pairs: list[str], flag: str) -> dict[str, str]:
    """Read `name=value` options. Raises: typer.BadParameter."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter("give it as name=value", param_hint=flag)
        values[name.strip()] = value
    return values
