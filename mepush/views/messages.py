"""How messages, results and balances look to a person."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mepush.files.sending import FileResult, RowResult, recipient_field
from mepush.output import plain, row, table

_GOOD = frozenset({"sent", "delivered", "opened", "clicked", "acknowledged", "verified", "accepted"})
_BAD = frozenset(
    {"rejected", "failed", "unknown", "dead_lettered", "undelivered", "complained", "expired", "not_queued", "invalid"}
)
SHOWN_ROWS = 50
"""Refused rows shown to a person; --json has them all."""


def style_of(status: str) -> str:
    """The colour of a status."""
    return "green" if status in _GOOD else "red" if status in _BAD else "yellow"


def moment(text: str | None) -> str:
    """A time of the API, in UTC, to the millisecond and without the letters."""
    if not text:
        return "-"
    day, _, time = text.partition("T")
    clock = time.removesuffix("Z").removesuffix("+00:00")
    seconds, _, fraction = clock.partition(".")
    return f"{day} {seconds}.{(fraction + '000')[:3]}"


def timeline(message: dict[str, Any]) -> RenderableType:
    """A message: where it stands, why, what to do, and how it got there. Times are UTC."""
    head = Text()
    head.append(plain(message["message_id"]), style="bold")
    head.append("  ")
    head.append(plain(message["status"]), style=f"bold {style_of(message['status'])}")
    head.append("" if message["final"] else "  (still open)")
    parts: list[RenderableType] = [head, Text(plain(_about(message)), style="dim")]
    if fallback := message.get("falls_back_to"):
        parts.append(Text(plain(f"falls back to message {fallback['message_id']} by {fallback['channel']}")))
    if message.get("fallback_of"):
        parts.append(Text(plain(f"fallback of message {message['fallback_of']}")))
    if message.get("explanation"):
        parts.append(Text(plain(message["explanation"])))
    if message.get("action"):
        parts.append(Text(plain(f"What to do: {message['action']}")))
    parts.append(_events(message["timeline"]))
    return Group(*parts)


def _about(message: dict[str, Any]) -> str:
    words = [
        f"{message['template']} v{message['version']}",
        message["channel"],
        message.get("class") or message.get("message_class") or "",
        f"to {message['to']}" if message.get("to") else "",
        "" if message["kind"] == "live" else f"{message['kind']} key",
        f"reference {message['reference']}" if message.get("reference") else "",
        f"run {message['run']}" if message.get("run") else "",
        f"variant {message['variant']}" if message.get("variant") else "",
        f"request {message['request_id']}",
    ]
    return " · ".join(word for word in words if word)


def _events(events: list[dict[str, Any]]) -> Table:
    made = Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
    made.add_column("time", no_wrap=True)
    made.add_column("stage", no_wrap=True)
    made.add_column("words", overflow="fold")
    for event in events:
        stage = plain(event["stage"])
        words = Text(plain(event["text"]))
        # The text names the account, the code and the times; this is what one needs to ask the provider.
        if event.get("provider_message_id"):
            words.append(plain(f" Its id there: {event['provider_message_id']}"), style="dim")
        made.add_row(Text(moment(event["at"])), Text(stage, style=style_of(stage)), words)
    return made


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
