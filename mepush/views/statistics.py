"""How the messages of a template, or of an account, in numbers look to a person, and to a spreadsheet."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from mepush.output import plain, row, table
from mepush.views.timelines import style_of

_GROUPS = (
    ("versions", "version"),
    ("accounts", "account"),
    ("providers", "provider"),
    ("runs", "run"),
    ("variants", "variant"),
)
OTHERS = "(other links)"
"""Those that the platform does not tell apart."""
_COLUMNS = (
    *("accepted", "sent", "delivered", "undelivered"),
    *("opened", "clicked", "acknowledged", "verified", "unsubscribed", "complained"),
)


def show_statistics(console: Console, data: Mapping[str, Any]) -> None:
    """The funnel, where messages fell out of it, how long they took, and the same for what they have in common."""
    if not _show_funnel(console, data, "Nothing was accepted in that time."):
        return
    for name, title in _GROUPS:
        # An API from before there were providers has none.
        groups = data.get(name, [])
        if len(groups) > 1 or (name in ("runs", "variants") and groups):
            console.rule(f"By {title}", align="left")
            _show_groups(console, title, groups)
    _show_countries(console, data.get("countries", []))
    _show_reasons(console, data["reasons"])


def show_account(console: Console, data: Mapping[str, Any]) -> None:
    """How many of an account's messages arrived, how long they took, why some did not, and the same by hour or day."""
    if not _show_funnel(console, data, "Nothing went through it in that time."):
        return
    if len(data["spans"]) > 1:
        console.rule("By time", align="left")
        _show_groups(console, "from", [{**each, "name": each["start"]} for each in data["spans"]])
    _show_countries(console, data.get("countries", []))
    _show_reasons(console, data["reasons"])


def _show_funnel(console: Console, data: Mapping[str, Any], nothing: str) -> bool:
    """Whether there is anything to show."""
    made = table("", "messages")
    made.columns[1].justify = "right"
    for name, number in data["stages"].items():
        made.add_row(plain(name), f"{number:,}", style=style_of(name.partition(".")[0]))
    for name, title in (("in_flight", "in flight"), ("no_receipt", "sent, nothing reported")):
        if data.get(name):
            row(made, title, f"{data[name]:,}")
    console.print(made if data["stages"] else nothing)
    if data["stages"]:
        console.print(plain("\n".join(each for each in (_arrived(data), _latencies(data)) if each)))
    return bool(data["stages"])


def _arrived(data: Mapping[str, Any]) -> str:
    if data["delivered_share"] is None:
        return ""
    words = f"delivered: {_percent(data['delivered_share'])} of those sent"
    of_reported = data.get("delivered_share_of_reported")
    return words if of_reported is None else f"{words}, {_percent(of_reported)} of those with a receipt"


def _show_countries(console: Console, countries: Sequence[Mapping[str, Any]]) -> None:
    if not countries:
        return
    console.rule("Verifications by country", align="left")
    made = table("country", "sent", "given back", "share")
    for column in made.columns[1:]:
        column.justify = "right"
    for each in countries:
        numbers = (f"{each[name]:,}" for name in ("sent", "verified"))
        row(made, each["country"] or "(no text)", *numbers, _percent(each["verified_share"]))
    console.print(made)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


def _show_reasons(console: Console, reasons: Sequence[Mapping[str, Any]]) -> None:
    if not reasons:
        return
    console.rule("Why some were not sent, or did not arrive", align="left")
    made = table("end", "reason", "messages", "what it means, and what to do")
    made.columns[2].justify = "right"
    for each in reasons:
        words = f"{each['explanation']} {each['action']}".strip()
        row(made, each["stage"], each["reason"], f"{each['messages']:,}", words)
    console.print(made)


def as_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """A table of hours or days by stage, with its header, for a spreadsheet. Times are as the API has them."""
    stages = [name for name in data["stages"]]
    shares = ["verified_share"] if data.get("verified_share") is not None else []
    yield ["start", *stages, *shares]
    for each in data["spans"]:
        found = (each[name] for name in shares)
        numbers = (str(each["stages"].get(name, 0)) for name in stages)
        yield [each["start"], *numbers, *("" if share is None else str(share) for share in found)]


def link_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """A table of the links that were followed most, with its header, for a spreadsheet."""
    yield ["link", "messages", "times", "by_machine"]
    for each in data.get("links", []):
        yield [each["target"] or OTHERS, *(str(each[name]) for name in ("messages", "times", "by_machine"))]


def code_rows(data: Mapping[str, Any]) -> Iterator[list[str]]:
    """A table of verifications by country, of all and of each account and provider, with its header, for a spreadsheet.
    A country is empty for what was no text."""
    yield ["by", "name", "country", "sent", "verified", "verified_share"]
    groups = [("all", {**data, "name": ""})]
    groups += [(by, each) for by in ("account", "provider") for each in data.get(f"{by}s", [])]
    for by, group in groups:
        for each in group.get("countries", []):
            share = each["verified_share"]
            numbers = (str(each["sent"]), str(each["verified"]), "" if share is None else str(share))
            yield [by, group["name"], each["country"] or "", *numbers]


def _show_links(console: Console, links: Iterable[Mapping[str, Any]]) -> None:
    links = list(links)
    if not links:
        return
    console.rule("Links that were followed most", align="left")
    made = table("link", "messages", "times", "by machines")
    for column in made.columns[1:]:
        column.justify = "right"
    for each in links:
        row(made, each["target"] or OTHERS, *(f"{each[name]:,}" for name in ("messages", "times", "by_machine")))
    console.print(made)


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
    # Of what carried no verification there is no such share, nor from an API of before.
    more = ["verified_share"] if any(each.get("verified_share") is not None for each in groups) else []
    made = table(title, *columns, "arrived", *("codes given back" for _ in more))
    for column in made.columns[1:]:
        column.justify = "right"
    for each in groups:
        numbers = (f"{each['stages'].get(name, 0):,}" for name in columns)
        shares = (_percent(each.get(name)) for name in ("delivered_share", *more))
        row(made, each["name"], *numbers, *shares)
    console.print(made)
