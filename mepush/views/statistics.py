"""How a template's messages in numbers look to a person, and to a spreadsheet."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console

from mepush.output import plain, row, table
from mepush.views.messages import style_of

_GROUPS = (("versions", "version"), ("accounts", "account"), ("runs", "run"), ("variants", "variant"))
_COLUMNS = (
    *("accepted", "sent", "delivered", "undelivered"),
    *("opened", "clicked", "acknowledged", "verified", "unsubscribed", "complained"),
)


def show_statistics(console: Console, data: Mapping[str, Any]) -> None:
    """The funnel, where messages fell out of it, how long they took, and the same for what they have in common."""
    made = table("", "messages")
    made.columns[1].justify = "right"
    for name, number in data["stages"].items():
        made.add_row(plain(name), f"{number:,}", style=style_of(name.partition(".")[0]))
    for name, title in (("in_flight", "in flight"), ("no_receipt", "sent, nothing reported")):
        if data[name]:
            row(made, title, f"{data[name]:,}")
    console.print(made if data["stages"] else "Nothing was accepted in that time.")
    if not data["stages"]:
        return
    console.print(plain(_latencies(data)))
    for name, title in _GROUPS:
        if len(data[name]) > 1 or (name in ("runs", "variants") and data[name]):
            console.rule(f"By {title}", align="left")
            _show_groups(console, title, data[name])
    if data["reasons"]:
        console.rule("Why some were not sent, or did not arrive", align="left")
        made = table("end", "reason", "messages", "what it means, and what to do")
        made.columns[2].justify = "right"
        for each in data["reasons"]:
            words = f"{each['explanation']} {each['action']}".strip()
            row(made, each["stage"], each["reason"], f"{each['messages']:,}", words)
        console.print(made)


def as_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """A table of hours or days by stage, with its header, for a spreadsheet. Times are as the API has them."""
    stages = [name for name in data["stages"]]
    yield ["start", *stages]
    for each in data["spans"]:
        yield [each["start"], *(str(each["stages"].get(name, 0)) for name in stages)]


def _latencies(data: Mapping[str, Any]) -> str:
    found = [
        f"{words} p50 {_short(each['p50'])}, p95 {_short(each['p95'])}, p99 {_short(each['p99'])}"
        for words, each in (
            ("accepted to sent:", data["latency"]["sent"]),
            ("sent to delivered:", data["latency"]["delivered"]),
        )
        if each["messages"]
    ]
    return "; ".join(found)


def _short(ms: int) -> str:
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if ms >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms} ms"


def _show_groups(console: Console, title: str, groups: Iterable[Mapping[str, Any]]) -> None:
    groups = list(groups)
    columns = [name for name in _COLUMNS if any(name in each["stages"] for each in groups)]
    made = table(title, *columns, "arrived")
    for column in made.columns[1:]:
        column.justify = "right"
    for each in groups:
        share = "-" if each["delivered_share"] is None else f"{100 * each['delivered_share']:.1f}%"
        row(made, each["name"], *(f"{each['stages'].get(name, 0):,}" for name in columns), share)
    console.print(made)
