"""`mepush template stats`: a template's messages in numbers. It joins the group of `templates`."""

from pathlib import Path
from typing import Annotated

import typer

from mepush.client.api import segment
from mepush.commands.reviews import app
from mepush.commands.spans import AfterOption, BeforeOption, ByDayOption, CsvOption, query_of, write_rows
from mepush.commands.templates import TemplateArgument
from mepush.output import JsonOption, KeyOption, UrlOption, session
from mepush.views.statistics import as_rows, code_rows, link_rows, show_statistics


@app.command("stats")
def stats(
    template: TemplateArgument,
    after: AfterOption = None,
    before: BeforeOption = None,
    by_day: ByDayOption = False,
    csv_file: CsvOption = None,
    links_csv: Annotated[Path | None, typer.Option("--links-csv", help="Write a row per link to this file.")] = None,
    codes_csv: Annotated[
        Path | None,
        typer.Option("--codes-csv", help="Write verifications by country, account and provider to this file."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of a template's messages: how many, why not, how fast; of the last 24 hours if not said."""
    query = query_of(after, before, by_day)
    with session(url, key, as_json) as (api, out):
        found = api.get(f"/v1/stats/templates/{segment(template)}", **query)
        files = ((csv_file, as_rows(found)), (links_csv, link_rows(found)), (codes_csv, code_rows(found)))
        for file, rows in files:
            if file is not None:
                out.say(f"{write_rows(file, rows):,} rows are in {file}.")
        out.result(found, lambda console: show_statistics(console, found))
