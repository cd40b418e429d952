"""What the commands that show figures have in common: the time that is asked for, and a file of hours or days."""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mepush.client.errors import FileError
from mepush.output import parse_time
from mepush.sheets.formulas import defused

DAYS = 14
"""So many are shown by day, if nothing else is asked for."""

AfterOption = Annotated[str | None, typer.Option("--after", help="Messages accepted from this time on.")]
BeforeOption = Annotated[str | None, typer.Option("--before", help="And until this time.")]
ByDayOption = Annotated[bool, typer.Option("--by-day", help=f"By day, of the last {DAYS} days if not said.")]
CsvOption = Annotated[Path | None, typer.Option("--csv", help="Write a row per hour or day to this file.")]


def query_of(after: str | None, before: str | None, by_day: bool) -> dict[str, str]:
    """What the API is asked for."""
    asked = {name: text for name, text in (("after", after), ("before", before)) if text is not None}
    query = {name: parse_time(text).isoformat() for name, text in asked.items()}
    if by_day and after is None:
        query["after"] = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat()
    return query | {"by": "day" if by_day else "hour"}


def write_rows(file: Path, rows: Iterable[list[str]]) -> int:
    """Write a file that spreadsheets open; returns how many rows it has below its header. Raises: FileError."""
    lines = [[defused(cell) for cell in line] for line in rows]
    try:
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerows(lines)
    except OSError as error:
        raise FileError(f"{file} cannot be written: {error.strerror or error}.") from None
    return len(lines) - 1
