"""How messages, results and balances look to a person."""

from typing import Any

from rich.console import Console
from rich.table import Table

from mepush.files.sending import FileResult, RowResult, recipient_field
from mepush.output import plain, row, table
from mepush.views.timelines import style_of

SHOWN_ROWS = 50
"""Refused rows shown to a person; --json has them all."""


def moment(text: str | None) -> str:
    """A time of the API, in UTC, to the millisecond and without the letters."""
    if not text:
        return "-"
    day, _, time = text.partition("T")
    clock = time.removesuffix("Z").removesuffix("+00:00")
    seconds, _, fraction = clock.partition(".")
    return f"{day} {seconds}.{(fraction + '000')[:3]}"


def show_one(console: Console, answer: dict[str, Any]) -> None:
    """The answer to a send to one address."""
    message = answer["messages"][0]
    console.print(plain(f"{message['status']}  {message['message_id']}"), style=style_of(message["status"]))
    if message.get("detail") or message.get("reason"):
        where = recipient_field(message.get("field") or "")
        words = message.get("detail") or message["reason"]
        console.print(plain(f"{where}: {words}" if where else words))
    console.print(plain(f"request {answer['request_id']}"))


def show_file(console: Console, result: FileResult) -> None:
    """What became of a file's rows, the refused ones by row number."""
    refused = result.refused()
    if refused:
        console.print(refused_rows(refused[:SHOWN_ROWS]))
        if len(refused) > SHOWN_ROWS:
            console.print(f"... and {len(refused) - SHOWN_ROWS:,} more; --json lists them all")
        console.print()
    rejected = result.count("rejected", "invalid")
    waiting = result.count("not_queued", "not_sent")
    console.print(f"{result.count('accepted'):,} accepted, {rejected:,} rejected, {waiting:,} not sent")
    for request in result.requests:
        console.print(plain(f"request {request}"))
    if result.resumable:
        console.print("Run the same command again to send the rest; what was accepted is not sent twice.")


def refused_rows(rows: list[RowResult]) -> Table:
    """A table of rows as the spreadsheet numbers them, with the column and the reason."""
    made = table("row", "column", "reason", "what is wrong")
    for found in rows:
        row(made, found.row, found.field or None, found.reason or found.status, found.detail)
    return made


def show_balance(console: Console, balance: dict[str, Any]) -> None:
    """Accepted, outcomes and in flight, hour by hour and in sum."""
    stages = sorted(balance["outcomes"])
    made = table("hour (UTC)", "accepted", "redriven", *stages, "in flight")
    for hour in balance["hours"]:
        counts = [hour["outcomes"].get(stage, 0) for stage in stages]
        row(made, moment(hour["hour"])[:16], hour["accepted"], hour["redriven"], *counts, hour["in_flight"])
    totals = [balance["outcomes"][stage] for stage in stages]
    row(made, "sum", balance["accepted"], balance["redriven"], *totals, balance["in_flight"])
    console.print(made)
    console.print(f"{balance['rejected']:,} rejected before they were accepted")
