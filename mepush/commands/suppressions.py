"""`mepush suppress`: the recipients that must not be written to."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from mepush.client.api import Client
from mepush.client.errors import FileError, UsageError
from mepush.files.recipients import Audience, BrokenRow, Row, read_audience
from mepush.output import JsonOption, KeyOption, Output, UrlOption, fail_if, plain, row, session, table
from mepush.sheets.formulas import defused
from mepush.views.messages import moment
from mepush.words import Channel, SuppressionReason, SuppressionScope

app = typer.Typer(no_args_is_help=True, help="The suppression list: who must not be written to, and why.")

COLUMNS = ("channel", "address", "scope", "reason", "topic", "note", "at", "by")
"""Of an export, which can be imported again."""
_OPTIONAL = ("scope", "reason", "topic", "note")
CHUNK = 1_000
PAGE = 1_000
SHOWN = 50
"""How many bad rows are shown to a person; --json has them all."""
_ROW_MAX = 4_000
"""Bytes of a row in a request, so that a chunk is far from the API's limit."""

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="As you would send to it.")]
ChannelOption = Annotated[Channel, typer.Option("--channel", "-c", help="Of this channel.")]
AnyChannelOption = Annotated[Channel | None, typer.Option("--channel", "-c", help="Of this channel only.")]
ReasonOption = Annotated[SuppressionReason, typer.Option("--reason", help="Why.")]
AnyReasonOption = Annotated[SuppressionReason | None, typer.Option("--reason", help="With this reason only.")]
ScopeOption = Annotated[SuppressionScope, typer.Option("--scope", help="Which messages: all, or one class.")]


@app.command("add")
def add(
    address: AddressArgument,
    channel: ChannelOption,
    scope: ScopeOption = SuppressionScope.ALL,
    reason: ReasonOption = SuppressionReason.MANUAL,
    topic: Annotated[str | None, typer.Option("--topic", help="Of marketing, this topic of the settings only.")] = None,
    note: Annotated[str, typer.Option("--note", help="In your own words.")] = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop messages to a recipient, from the next one that is due."""
    body = {"channel": channel, "address": address, "scope": scope, "reason": reason, "topic": topic, "note": note}
    with session(url, key, as_json) as (api, out):
        data = api.post("/v1/suppressions", body, repeat=True)
        words = "is on the list now" if data["changed"] else "was on the list already"
        out.result(data, lambda console: _show_change(console, data, words))


@app.command("remove")
def remove(
    address: AddressArgument,
    channel: ChannelOption,
    scope: Annotated[SuppressionScope | None, typer.Option("--scope", help="Entries of this scope only.")] = None,
    reason: Annotated[SuppressionReason | None, typer.Option("--reason", help="With this reason only.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Of this topic only.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a recipient off the list: all its entries, or those of a scope, reason or topic."""
    body = {"channel": channel, "address": address, "scope": scope, "reason": reason, "topic": topic}
    with session(url, key, as_json) as (api, out):
        data = api.post("/v1/suppressions/remove", body, repeat=True)
        count = data["changed"]
        words = f"{count} {'entry' if count == 1 else 'entries'} removed" if count else "there was nothing to remove"
        out.result(data, lambda console: _show_change(console, data, words))


@app.command("list")
def list_suppressions(
    channel: AnyChannelOption = None,
    address: Annotated[str | None, typer.Option("--address", help="This one; needs --channel.")] = None,
    reason: AnyReasonOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many recipients.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who is on it, in no order, and why."""
    if address is not None and channel is None:
        raise typer.BadParameter("an address needs its channel", param_hint="--channel")
    with session(url, key, as_json) as (api, out):
        found = list(islice(_pages(api, channel, reason, min(limit + 1, PAGE), address), limit + 1))
        shown, more = found[:limit], len(found) > limit
        out.result({"suppressions": shown, "more": more}, lambda console: _show(console, shown, more))


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV with the column `address`.")],
    channel: Annotated[
        Channel | None, typer.Option("--channel", "-c", help="Of all rows that have no column `channel`.")
    ] = None,
    scope: ScopeOption = SuppressionScope.ALL,
    reason: ReasonOption = SuppressionReason.MANUAL,
    address_column: Annotated[str, typer.Option("--address-column", help="Its name in row 1.")] = "address",
    encoding: Annotated[str, typer.Option("--encoding", help="Such as big5; else found out.")] = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a CSV's recipients; its columns scope, reason and note win over the options.

    Interrupted, it can be run again: what is there already stays as it is.
    """
    with session(url, key, as_json) as (api, out):
        audience = read_audience(file, to_column=address_column, encoding=encoding)
        report = _import(api, out, audience, channel, {"scope": scope, "reason": reason})
        out.result(asdict(report), lambda console: _show_report(console, report))
        fail_if(bool(report.invalid))


@app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Else standard output.")] = None,
    channel: AnyChannelOption = None,
    reason: AnyReasonOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the list as a CSV, a row per entry, which can be imported again."""
    with session(url, key, as_json) as (api, out):
        if file is None and as_json:
            raise UsageError("--json needs a file to write the CSV to.", "Give one: mepush suppress export list.csv")
        count = 0
        with _opened(file) as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for each in _pages(api, channel, reason, PAGE):
                for entry in each["entries"]:
                    if reason in (None, entry["reason"]):
                        cells = {**each, **entry}
                        writer.writerow([defused(_cell(cells.get(name))) for name in COLUMNS])
                        count += 1
        if file is not None:
            out.result(
                {"file": str(file), "entries": count},
                lambda console: console.print(plain(f"{count:,} entries are in {file}.")),
            )


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


@dataclass
class Report:
    """What became of an import. invalid: the rows, by number as the spreadsheet shows it."""

    added: int = 0
    already_there: int = 0
    invalid: list[BrokenRow] = field(default_factory=list)


def _import(api: Client, out: Output, audience: Audience, channel: Channel | None, rest: dict[str, Any]) -> Report:
    report = Report(invalid=list(audience.broken))
    named = [(_channel(each, channel), each) for each in audience.rows]
    report.invalid += [
        BrokenRow(each.number, "channel", "row_invalid", f"give one of: {', '.join(Channel)}, or --channel")
        for name, each in named
        if name is None
    ]
    long = [each for name, each in named if name is not None and each.size > _ROW_MAX]
    report.invalid += [BrokenRow(each.number, "", "row_invalid", "the row is too long") for each in long]
    good = [(name, each) for name, each in named if name is not None and each.size <= _ROW_MAX]
    good.sort(key=lambda pair: pair[0])
    done = 0
    for name, pairs in groupby(good, key=lambda pair: pair[0]):
        rows = [each for _, each in pairs]
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            body = {"channel": name, **rest, "rows": [_row_body(each) for each in chunk]}
            _add_up(report, chunk, api.post("/v1/suppressions/import", body, repeat=True))
            done += len(chunk)
            if done < len(good):
                out.say(f"{done:,} of {len(good):,} rows")
    report.invalid.sort(key=lambda each: each.number)
    return report


def _channel(each: Row, given: Channel | None) -> Channel | None:
    name = each.recipient.get("variables", {}).get("channel", given)
    return Channel(name) if name in set(Channel) else None


def _row_body(each: Row) -> dict[str, str]:
    cells = each.recipient.get("variables", {})
    return {"address": each.recipient["to"], **{name: cells[name] for name in _OPTIONAL if name in cells}}


def _add_up(report: Report, chunk: list[Row], answer: dict[str, Any]) -> None:
    report.added += answer["added"]
    report.already_there += answer["already_there"]
    report.invalid += [
        BrokenRow(chunk[found["index"]].number, found["field"], "row_invalid", found["detail"])
        for found in answer["rows"]
        if found["status"] == "invalid"
    ]


def _pages(
    api: Client,
    channel: Channel | None,
    reason: SuppressionReason | None,
    limit: int,
    address: str | None = None,
) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        body = {"channel": channel, "address": address, "reason": reason, "limit": limit, "cursor": cursor}
        page = api.post("/v1/suppressions/query", body, repeat=True)
        yield from page["suppressions"]
        cursor = page["cursor"]
        if cursor is None:
            return


@contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    """Raises: FileError."""
    if file is None:
        yield sys.stdout
        return
    try:
        # With a byte-order mark, by which Excel knows UTF-8.
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            yield stream
    except OSError as error:
        raise FileError(f"{file} cannot be written: {error.strerror or error}.") from None


def _show_change(console: Console, data: dict[str, Any], words: str) -> None:
    console.print(plain(f"{data['suppression']['address']}: {words}."))
    _show_entries(console, [data["suppression"]])


def _show(console: Console, found: list[dict[str, Any]], more: bool) -> None:
    if not found:
        console.print("Nobody is on the list.")
        return
    _show_entries(console, found)
    if more:
        console.print("There are more; raise --limit, or export them.")


def _show_entries(console: Console, found: list[dict[str, Any]]) -> None:
    made = table("channel", "address", "stops", "reason", "since (UTC)", "by key", "note")
    for each in found:
        for entry in each["entries"]:
            stops = f"{entry['scope']}: {entry['topic']}" if entry.get("topic") else entry["scope"]
            facts = (stops, entry["reason"], moment(entry["at"]), entry["by"], entry["note"] or None)
            row(made, each["channel"], each["address"], *facts)
    if made.row_count:
        console.print(made)


def _show_report(console: Console, report: Report) -> None:
    counts = f"{report.added:,} added, {report.already_there:,} already there, {len(report.invalid):,} not valid."
    console.print(counts)
    for each in report.invalid[:SHOWN]:
        where = f"row {each.number}, {each.column}" if each.column else f"row {each.number}"
        console.print(plain(f"  {where}: {each.detail}"))
    if len(report.invalid) > SHOWN:
        console.print(f"  and {len(report.invalid) - SHOWN:,} more; --json has them all.")
