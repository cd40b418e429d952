"""`mepush send` and `mepush balance`."""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mepush.client.api import Client
from mepush.client.errors import FileError
from mepush.files.attachments import read_files, upload_files
from mepush.files.recipients import read_audience
from mepush.files.sending import fit, placeholders, send_file
from mepush.output import JsonOption, KeyOption, Output, UrlOption, fail_if, parse_pairs, parse_time, session
from mepush.views.messages import show_balance, show_file, show_one

_KEY = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
"""An Idempotency-Key that a header carries as it is: no blanks at its ends."""


def send(
    template: Annotated[str, typer.Option("--template", "-t", help="The template's id.")],
    to: Annotated[str | None, typer.Option("--to", help="One address.")] = None,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A variable as name=value; repeatable.")
    ] = None,
    vars_file: Annotated[
        Path | None, typer.Option("--vars-file", exists=True, dir_okay=False, help="Variables as a JSON object.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", exists=True, dir_okay=False, help="A CSV file of recipients and variables.")
    ] = None,
    to_column: Annotated[
        str, typer.Option("--to-column", metavar="NAME", help="The CSV's column of addresses.")
    ] = "to",
    reference_column: Annotated[
        str | None, typer.Option("--reference-column", metavar="NAME", help="Your own word per row.")
    ] = None,
    ignore_column: Annotated[
        list[str] | None,
        typer.Option("--ignore-column", metavar="NAME", help="A column that is no variable; repeatable."),
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="The CSV's encoding, such as big5; else found out.")] = "",
    version: Annotated[int | None, typer.Option("--version", min=1, help="A version that was published.")] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Your own word, shown in the trace.")] = None,
    send_at: Annotated[
        datetime | None,
        typer.Option(
            "--send-at",
            metavar="TIME",
            parser=parse_time,
            help="Not before, as 2026-11-24T09:00:00+08:00.",
        ),
    ] = None,
    ttl: Annotated[int | None, typer.Option("--ttl", min=10, help="Seconds in which it must have been sent.")] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option("--fallback", metavar="CHANNEL=ADDRESS", help="With --to: where it goes if it fails; repeatable."),
    ] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option("--attach", metavar="FILE", help="A file that every email carries; repeatable."),
    ] = None,
    inline: Annotated[
        list[str] | None,
        typer.Option("--inline", metavar="CID=FILE", help="An image for the html's cid:CID; repeatable."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key never sends twice.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a template to one address (--to) or to the rows of a CSV file (--csv).

    A file is sent in requests of up to 1,000 rows. Running the same command again sends nothing twice: it continues
    where it broke. Rows are numbered as the spreadsheet shows them; the header is row 1.
    """
    if (to is None) == (csv is None):
        raise typer.BadParameter("give either --to or --csv", param_hint="--to")
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        # An empty one, as of a variable that is not set, must not pass for none.
        raise typer.BadParameter("give 1 to 200 printable ASCII characters", param_hint="--idempotency-key")
    others = parse_pairs(fallback or [], "--fallback")
    if others and to is None:
        raise typer.BadParameter("belongs to --to", param_hint="--fallback")
    request: dict[str, Any] = {"template": template, "version": version, "reference": reference, "ttl": ttl}
    request["send_at"] = send_at.isoformat() if send_at else None
    request = {name: value for name, value in request.items() if value is not None}
    pairs, shown = parse_pairs(var or [], "--var"), parse_pairs(inline or [], "--inline")
    with session(url, key, as_json) as (api, out):
        if files := read_files(attach or [], shown):
            request["attachments"] = upload_files(api, files)
        variables = {**(_json_object(vars_file) if vars_file else {}), **pairs}
        if variables:
            request["variables"] = variables
        if to is not None:
            one: dict[str, Any] = {"recipients": [{"to": to, "fallback": others}]} if others else {"to": to}
            answer = api.send({**request, **one}, idempotency_key)
            out.result(answer, lambda console: show_one(console, answer))
            fail_if(answer["accepted"] != 1)
        if csv is not None:
            columns = (to_column, reference_column, ignore_column or [], encoding)
            fail_if(not _send_csv(api, out, csv, columns, request, idempotency_key or ""))


def _send_csv(
    api: Client,
    out: Output,
    path: Path,
    columns: tuple[str, str | None, Sequence[str], str],
    request: dict[str, Any],
    salt: str,
) -> bool:
    """Whether every row was accepted."""
    audience = read_audience(path, *columns)
    if not audience.rows and not audience.broken:
        raise FileError(f"{path} has no recipients.", "Row 1 names the columns; the recipients follow from row 2.")

    known = placeholders(api, request["template"], request.get("version"))
    # With a key that may only send, every column is a variable.
    unused = fit(audience, *(known or ([], audience.variables)), request.get("variables", {}))
    if unused:
        out.say(f"Left out, since the template does not use them: {', '.join(unused)}")

    def progress(done: int, total: int) -> None:
        if total > 1000:
            out.say(f"{done:,} of {total:,} rows")

    result = send_file(api, audience, request, salt, progress)
    data = {"file": str(path), "unused_columns": unused, **result.as_json()}
    out.result(data, lambda console: show_file(console, result))
    if result.error is not None and not out.as_json:
        out.error(result.error)
    return result.complete


def balance(
    after: Annotated[
        datetime | None,
        typer.Option(
            "--after",
            metavar="TIME",
            parser=parse_time,
            help="From this hour on, as 2026-11-24T09:00:00Z.",
        ),
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option("--before", metavar="TIME", parser=parse_time, help="Up to this hour."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show accepted messages, their outcomes and what is in flight; the last 24 hours by default."""
    with session(url, key, as_json) as (api, out):
        data = api.get(
            "/v1/balance",
            after=after.isoformat() if after else None,
            before=before.isoformat() if before else None,
        )
        out.result(data, lambda console: show_balance(console, data))


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        raise FileError(f"{path} is not JSON.") from None
    if not isinstance(data, dict):
        raise FileError(f"{path} must hold a JSON object of variables.")
    return data
