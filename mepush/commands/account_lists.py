"""`mepush account suppressions`: a provider's own suppression list. It joins the group of `accounts`."""

from collections import Counter
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import UsageError
from mepush.commands.accounts import AccountArgument, app
from mepush.output import JsonOption, KeyOption, UrlOption, plain, session

NUMBERS = ("theirs", "on_both", "unreadable", "added", "released", "kept")
SHOWN = 20
"""How many missing addresses are shown to a person; --json has them all."""
MAX_RELEASED = 20
"""Addresses of a call."""


@app.command("suppressions")
def suppressions(
    account: AccountArgument,
    mirror: Annotated[bool, typer.Option("--mirror", help="Add what is missing on the platform's list to it.")] = False,
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Take this address off the provider's list; may be repeated.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a provider's own suppression list with the platform's; nothing is changed unless you ask for it."""
    with session(url, key, as_json) as (api, out):
        body = _asked(mirror, release or [])
        total = _through(api, f"/v1/accounts/{segment(account)}/suppressions", body)
        out.result(total, lambda console: _show(console, total, body["action"]))


def _asked(mirror: bool, release: list[str]) -> dict[str, Any]:
    if mirror and release:
        raise UsageError("Give --mirror or --release: what is released would come back.")
    if len(release) > MAX_RELEASED:
        raise UsageError(f"Release at most {MAX_RELEASED} addresses at a time.")
    return {"action": "release", "addresses": release} if release else {"action": "mirror" if mirror else "compare"}


def _through(api: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Go through all pages of the provider's list, and add up what they say."""
    numbers: Counter[str] = Counter(dict.fromkeys(NUMBERS, 0))
    missing: list[str] = []
    cursor: str | None = None
    while True:
        page = api.post(path, body if cursor is None else {**body, "cursor": cursor}, repeat=True)
        numbers.update({name: page[name] for name in NUMBERS})
        missing += page["missing"]
        cursor = page["cursor"]
        if cursor is None:
            return {**numbers, "missing": missing}


def _show(console: Console, total: dict[str, Any], action: str) -> None:
    odd = f", {total['unreadable']:,} that are no addresses here" if total["unreadable"] else ""
    console.print(
        plain(
            f"The provider lists {total['theirs']:,}: {total['on_both']:,} are on the platform's list, too,"
            f" {len(total['missing']):,} are not{odd}."
        )
    )
    for address in total["missing"][:SHOWN]:
        console.print(plain(f"  {address}"))
    if len(total["missing"]) > SHOWN:
        console.print(f"  and {len(total['missing']) - SHOWN:,} more: --json has them all")
    if action == "mirror":
        console.print(f"{total['added']:,} were added to the platform's list.")
    elif action == "release":
        kept = f" {total['kept']:,} are on the platform's own list: remove them there first." if total["kept"] else ""
        console.print(f"{total['released']:,} were taken off the provider's list.{kept}")
