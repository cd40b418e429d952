"""`mepush template stats`: a template's messages in numbers. It joins the group of `templates`."""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mepush.client.api import segment
from mepush.client.errors import FileError
from mepush.commands.reviews import app
from mepush.commands.templates import TemplateArgument
from mepush.output import JsonOption, KeyOption, UrlOption, parse_time, session
from mepush.sheets.formulas import defused
from mepush.views.statistics import as_rows, link_rows, show_statistics

DAYS = 14
"""So many are shown by day, if nothing else is asked for."""


@app.command("stats")
def stats(
    template: TemplateArgument,
    after: Annotated[str | None, typer.Option("--after", help="Messages accepted from this time on.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="And until this time.")] = None,
    by_day: Annotated[bool, typer.Option("--by-day", help=f"By day, of the last {DAYS} days if not said.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row per hour or day to this file.")] = None,
    links_csv: Annotated[Path | None, typer.Option("--links-csv", help="Write a row per link to this file.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a template's messages: how many, why not, how fast; of the last 24 hours if not said."""
    asked = {name: text for name, text in (("after", after), ("before", before)) if text is not None}
    query = {name: parse_time(text).isoformat() for name, text in asked.items()}
    if by_day and after is None:
        query["after"] = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat()
    with session(url, key, as_json) as (api, out):
        by = "day" if by_day else "hour"
        found = api.get(f"/v1/stats/templates/{segment(template)}", **query, by=by)
        for file, rows in ((csv_file, as_rows(found)), (links_csv, link_rows(found))):
            if file is not None:
                out.say(f"{_write(file, rows):,} rows are in {file}.")
        out.result(found, lambda console: show_statistics(console, found))


def _write(file: Path, rows: Iterable[list[str]]) -> int:
    """Write a table with its header; returns how many rows it has below that."""
    lines = [[defused(cell) for cell in line] for line in rows]
    try:
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            csv.writer(stream).writerows(lines)
    except OSError as error:
        raise FileError(f"{file} cannot be written: {error.strerror or error}.") from None
    return len(lines) - 1
