"""`mepush key`: API keys."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import segment
from mepush.output import JsonOption, KeyOption, UrlOption, parse_time, plain, row, session, table
from mepush.views.messages import moment
from mepush.words import KeyKind, Scope

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke and delete them.")


@app.command("create")
def create(
    name: Annotated[str, typer.Option("--name", help="What the key is for.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; repeatable.")],
    kind: Annotated[KeyKind, typer.Option("--kind", help="live, team (allow-listed recipients) or test.")] = (
        KeyKind.LIVE
    ),
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", help="For team keys, as channel:address; repeatable.")
    ] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option(
            "--expires-at", metavar="TIME", parser=parse_time, help="No use after it, as 2026-11-24T09:00:00+08:00."
        ),
    ] = None,
    texts_per_day: Annotated[
        int | None,
        typer.Option("--texts-per-day", min=0, help="Texts (SMS) a day, in UTC; else the settings say how many."),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key and print it: it is shown this once."""
    body: dict[str, Any] = {"name": name, "kind": kind.value, "scopes": [s.value for s in scope]}
    if recipient:
        body["recipients"] = recipient
    if expires_at:
        body["expires_at"] = expires_at.isoformat()
    if texts_per_day is not None:
        body["texts_per_day"] = texts_per_day
    with session(url, key, as_json) as (api, out):
        data = api.post("/v1/keys", body)
        out.say("Keep this key now; it is not shown again.")
        out.result(data, lambda console: console.print(plain(data["key"]), soft_wrap=True))


@app.command("list")
def list_keys(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the keys, without their secrets."""
    with session(url, key, as_json) as (api, out):
        keys = sorted(api.pages("/v1/keys", "keys"), key=lambda found: (found["created_at"], found["id"]), reverse=True)
        out.result({"keys": keys}, lambda console: _show_keys(console, keys))


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, not the key itself.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key, and all keys that descend from it; they stop working within 60 seconds."""
    with session(url, key, as_json) as (api, out):
        api.delete(f"/v1/keys/{segment(key_id)}")
        words = f"{key_id} is revoked; it and the keys that descend from it stop working within 60 seconds"
        out.result({"revoked": key_id}, lambda console: console.print(plain(words)))


@app.command("delete")
def delete(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The id of a key that was revoked or has expired.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a key that has ended from the list."""
    with session(url, key, as_json) as (api, out):
        api.post(f"/v1/keys/{segment(key_id)}/delete", {})
        out.result({"deleted": key_id}, lambda console: console.print(plain(f"{key_id} is deleted")))


def _show_keys(console: Console, keys: list[dict[str, Any]]) -> None:
    columns = ("key id", "name", "kind", "scopes", "recipients", "texts a day", "made by")
    made = table(*columns, "created (UTC)", "expires (UTC)", "ended (UTC)")
    for k in keys:
        ended = f"with {k['ended_by']}" if k["ended_by"] and not k["revoked_at"] else moment(k["revoked_at"])
        times = (moment(k["created_at"]), moment(k["expires_at"]), ended)
        scopes, listed = ", ".join(k["scopes"]), len(k["recipients"]) or None
        row(made, k["id"], k["name"], k["kind"], scopes, listed, k["texts_per_day"], k["created_by"], *times)
    console.print(made if keys else "There are no keys.")
