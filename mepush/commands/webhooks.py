"""`mepush webhook`: endpoints that events are sent to."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import UsageError
from mepush.output import JsonOption, KeyOption, Output, UrlOption, parse_time, plain, row, session, table
from mepush.views.messages import moment
from mepush.words import DeliveryState, KeyKind

app = typer.Typer(no_args_is_help=True, help="Webhooks: have what becomes of messages sent to your own endpoints.")

PATH = "/v1/webhooks"
KEPT_DAYS = 14
"""So long deliveries are kept."""

IdArgument = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id.")]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", help="Such as message.delivered; repeatable. Else all ends and reports.")
]
KindOption = Annotated[
    list[KeyKind] | None, typer.Option("--kind", help="Of messages by such keys; repeatable. Else live and team.")
]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="Whose it is.")]
AfterOption = Annotated[
    datetime | None,
    typer.Option("--after", metavar="TIME", parser=parse_time, help="From then on, as 2026-11-24T09:00:00+08:00."),
]
BeforeOption = Annotated[
    datetime | None, typer.Option("--before", metavar="TIME", parser=parse_time, help="Before then; else up to now.")
]


@app.command("add")
def add(
    webhook: IdArgument,
    endpoint: Annotated[str | None, typer.Argument(metavar="[URL]", help="By https, on the internet.")] = None,
    bus: Annotated[bool, typer.Option("--bus", help="The deployment's EventBridge bus instead of a URL.")] = False,
    types: TypeOption = None,
    kinds: KindOption = None,
    description: DescriptionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have events sent to a URL, and print the secret that they are signed with: it is shown this once."""
    body = {"id": webhook, "url": endpoint, "bus": bus, **_given(types, kinds, description)}
    with session(url, key, as_json) as (api, out):
        if bus is (endpoint is not None):
            raise UsageError("Give a URL, or --bus.", "Such as: mepush webhook add orders https://example.com/hooks")
        _show_secret(out, api.post(PATH, body))


@app.command("list")
def list_webhooks(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the webhooks."""
    with session(url, key, as_json) as (api, out):
        found = list(api.pages(PATH, "webhooks"))
        out.result({"webhooks": found}, lambda console: _show_all(console, found))


@app.command("show")
def show(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show a webhook, and how its endpoint is."""
    with session(url, key, as_json) as (api, out):
        data = api.get(_path(webhook))
        out.result(data, lambda console: _show_one(console, data))


@app.command("change")
def change(
    webhook: IdArgument,
    endpoint: Annotated[str | None, typer.Option("--to", metavar="URL", help="Another URL.")] = None,
    types: TypeOption = None,
    kinds: KindOption = None,
    description: DescriptionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change where a webhook leads, or what it hears of."""
    body = _given(types, kinds, description) | ({} if endpoint is None else {"url": endpoint})
    with session(url, key, as_json) as (api, out):
        if not body:
            raise UsageError("There is nothing to change.", "Give --to, --type, --kind or --description.")
        data = api.patch(_path(webhook), body)
        out.result(data, lambda console: console.print(plain(f"{webhook} is changed; it counts within 10 seconds")))


@app.command("test")
def test(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Send a test event; `mepush webhook deliveries` shows what came of it."""
    with session(url, key, as_json) as (api, out):
        data = api.post(f"{_path(webhook)}/test")
        words = f"{data['delivery']} is on its way; see `mepush webhook deliveries {webhook}`"
        out.result(data, lambda console: console.print(plain(words)))


@app.command("rotate")
def rotate(
    webhook: IdArgument,
    overlap: Annotated[
        int, typer.Option("--overlap", min=0, metavar="SECONDS", help="For so long events are signed with both.")
    ] = 86_400,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a webhook's secret, and print the new one: it is shown this once."""
    with session(url, key, as_json) as (api, out):
        _show_secret(out, api.post(f"{_path(webhook)}/rotate", {"overlap_seconds": overlap}))


@app.command("pause")
def pause(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Send nothing for the time being; what comes is kept for 14 days."""
    with session(url, key, as_json) as (api, out):
        data = api.patch(_path(webhook), {"state": "paused"})
        out.result(data, lambda console: console.print(plain(f"{webhook} is paused")))


@app.command("resume")
def resume(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Send events again."""
    with session(url, key, as_json) as (api, out):
        data = api.patch(_path(webhook), {"state": "active"})
        words = f"{webhook} is active. What it missed comes with: mepush webhook replay {webhook}"
        out.result(data, lambda console: console.print(plain(words)))


@app.command("deliveries")
def deliveries(
    webhook: IdArgument,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Those alone.")] = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many.")] = 20,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was sent to it in the last 14 days, the newest first, with each try."""
    with session(url, key, as_json) as (api, out):
        asked = {"state": state and state.value, "after": _time(after), "before": _time(before), "limit": limit}
        data = api.get(f"{_path(webhook)}/deliveries", **asked)
        out.result(data, lambda console: _show_deliveries(console, data))


@app.command("replay")
def replay(
    webhook: IdArgument,
    after: AfterOption = None,
    before: BeforeOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were delivered, too.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send events again that were given up or held, under their ids: by default of the last 14 days."""
    begin = after or datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    body = {"after": _time(begin), "before": _time(before), "only_failed": not everything}
    with session(url, key, as_json) as (api, out):
        count = _replay(api, out, webhook, body)
        words = f"{count:,} events are on their way again"
        out.result({"queued": count}, lambda console: console.print(plain(words)))


@app.command("remove")
def remove(webhook: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Remove a webhook; what is on its way to it is dropped."""
    with session(url, key, as_json) as (api, out):
        api.delete(_path(webhook))
        out.result({"removed": webhook}, lambda console: console.print(plain(f"{webhook} is removed")))


def _replay(api: Client, out: Output, webhook: str, body: dict[str, Any]) -> int:
    count: int = 0
    cursor: str | None = None
    while True:
        # Asked again, an event comes twice under one id.
        data = api.post(f"{_path(webhook)}/replay", {**body, "cursor": cursor}, repeat=True)
        count += data["queued"]
        cursor = data["cursor"]
        if cursor is None:
            return count
        out.say(f"{count:,} events so far")


def _path(webhook: str) -> str:
    return f"{PATH}/{segment(webhook)}"


def _given(types: list[str] | None, kinds: list[KeyKind] | None, description: str | None) -> dict[str, Any]:
    given = {"types": types, "kinds": [each.value for each in kinds or ()], "description": description}
    return {name: value for name, value in given.items() if value}


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _show_secret(out: Output, data: dict[str, Any]) -> None:
    if data["secret"] is None:
        out.result(data, lambda console: console.print(plain(f"{data['id']} is the bus: events there are not signed")))
        return
    out.say("Keep this secret now; it is not shown again.")
    out.result(data, lambda console: console.print(plain(data["secret"]), soft_wrap=True))


def _show_all(console: Console, found: list[dict[str, Any]]) -> None:
    if not found:
        console.print("There are no webhooks.")
        return
    made = table("webhook", "state", "to", "description")
    for each in found:
        row(made, each["id"], _state(each), each["url"] or "the bus", each["description"] or None)
    console.print(made)


def _state(data: dict[str, Any]) -> str:
    why = {"failures": "it failed for days", "gone": "it said that it is gone", "person": None}.get(data["stopped"])
    return f"{data['state']} ({why})" if why else str(data["state"])


def _show_one(console: Console, data: dict[str, Any]) -> None:
    made = table("what", "is")
    failing = "no"
    if data["failing_since"]:
        failing = f"since {moment(data['failing_since'])}: {data['failures']:,} tries"
    facts = {
        "state": _state(data),
        "to": data["url"] or "the bus",
        "description": data["description"] or None,
        "types": ", ".join(data["types"]),
        "kinds": ", ".join(data["kinds"]),
        "failing": failing,
        "last success": data["last_success"] and moment(data["last_success"]),
        "old secret until": data["old_secret_ends_at"] and moment(data["old_secret_ends_at"]),
    }
    for name, value in facts.items():
        row(made, name, value)
    console.print(made)


def _show_deliveries(console: Console, data: dict[str, Any]) -> None:
    if not data["deliveries"]:
        console.print("There are none.")
        return
    made = table("came (UTC)", "id", "type", "state", "tries", "last answer", "again (UTC)")
    for each in data["deliveries"]:
        last = each["attempts"][-1] if each["attempts"] else {}
        answer = last.get("status") or last.get("error")
        again = each["next_at"] and moment(each["next_at"])
        row(made, moment(each["at"]), each["id"], each["type"], each["state"], each["tries"], answer, again)
    console.print(made)
    if data["cursor"] is not None:
        console.print("There are more; give --before or --state, or raise --limit.")
