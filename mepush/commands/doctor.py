"""`mepush doctor`: whether the platform is well, on one screen."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from mepush.output import JsonOption, KeyOption, UrlOption, fail_if, plain, row, session, table
from mepush.views.messages import moment

_COLOURS = {"healthy": "green", "warning": "yellow", "unhealthy": "red", "failing": "red", "idle": "dim"}


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the platform is well, what is not, and what to do about it.

    Exit code 0 if it works, with warnings or without; 1 if not.
    """
    with session(url, key, as_json) as (api, out):
        health = api.get("/v1/health")
        out.result(health, lambda console: show_health(console, health, datetime.now(UTC)))
        fail_if(health["verdict"] not in (("healthy",) if strict else ("healthy", "warning")))


def show_health(console: Console, health: dict[str, Any], now: datetime) -> None:
    """Findings first, then the numbers that they come from."""
    console.print(Text(plain(health["verdict"]), style=f"bold {_COLOURS.get(health['verdict'], 'yellow')}"))
    for finding in health["findings"]:
        console.print(Text(plain(f"! {finding['problem']}"), style="red"))
        console.print(plain(f"  {finding['action']}"))
    for warning in health.get("warnings", []):
        console.print(Text(plain(f"- {warning['problem']}"), style="yellow"))
        console.print(plain(f"  {warning['action']}"))
    console.print(plain("\n".join(_facts(health, now))))
    _show_queues(console, health["queues"])
    _show_accounts(console, health["accounts"])


def _facts(health: dict[str, Any], now: datetime) -> list[str]:
    balance, sweep = health["balance"], health["sweep"]
    redriven = f" + {balance['redriven']:,} redriven" if balance["redriven"] else ""
    oldest = health["oldest_in_flight"]
    waits = f"due since {moment(oldest)[:16]}, {_age(oldest, now)}" if oldest else "nothing for too long"
    lag = max((shard["lag_seconds"] for shard in health["stream"]), default=0)
    facts = [
        f"balance      {balance['accepted']:,} accepted{redriven} = {balance['outcomes']:,} outcomes"
        f" + {balance['in_flight']:,} in flight (last 24 hours)",
        f"in flight    {waits}",
        f"stream lag   {lag:,.0f} s",
        f"dead         {sum(queue['dead'] for queue in health['queues']):,} letters not taken,"
        f" {health['schedules_dead']:,} schedules, {health['trace_dead']:,} batches of events",
        *_afterwards(health),
    ]
    if sweep is None:
        return [*facts, "last sweep   none yet"]
    counts = {**sweep["found"], **sweep["mended"]}
    did = "; ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items())
    return [*facts, f"last sweep   {sweep['age_seconds']:,} s ago: {did or 'nothing stuck'}"]


def _afterwards(health: dict[str, Any]) -> list[str]:
    """What comes after sending; nothing of an API that does not tell yet."""
    if "webhooks" not in health:
        return []
    more = "+" if health["dead_letters_more"] else ""
    webhooks = health["webhooks"]
    working = sum(each["state"] == "active" and each["failing_since"] is None for each in webhooks)
    return [
        f"to decide    {health['dead_letters']:,}{more} dead letters (mepush dlq list)",
        f"receipts     {health['receipts_dead']:,} cannot be read",
        f"webhooks     {working:,} of {len(webhooks):,} work, {health['webhooks_dead']:,} events given up",
    ]


def _show_queues(console: Console, queues: list[dict[str, Any]]) -> None:
    busy = [q for q in queues if q["waiting"] or q["hidden"] or q["delayed"] or q["dead"]]
    if not busy:
        console.print("queues       all empty")
        return
    made = table("queue", "waiting", "worked on", "due later", "dead")
    for queue in busy:
        row(made, queue["name"], queue["waiting"], queue["hidden"], queue["delayed"], queue["dead"])
    console.print(made)


def _show_accounts(console: Console, accounts: list[dict[str, Any]]) -> None:
    """Those that did something in the last two hours, the failing first."""
    active = [a for a in accounts if a["verdict"] != "idle" or a["factor"] < 1]
    active.sort(key=lambda a: (a["verdict"] != "failing", a["account"]))
    if active:
        made = table("account", "", "sent", "retried", "failed", "unknown", "given up", "weight")
        for a in active:
            counts = (a[name] for name in ("sent", "retrying", "failed", "unknown", "dead_lettered"))
            verdict = Text(a["verdict"], style=_COLOURS[a["verdict"]])
            made.add_row(plain(a["account"]), verdict, *map(str, counts), f"{a['factor']:.0%}")
        console.print(made)
    idle = len(accounts) - len(active)
    if idle:
        console.print(f"accounts     {idle:,} idle in this hour and the last")


def _age(since: str, now: datetime) -> str:
    hours, minutes = divmod(int((now - datetime.fromisoformat(since)).total_seconds()) // 60, 60)
    return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h {minutes} min"
