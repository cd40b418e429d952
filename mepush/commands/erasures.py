"""`mepush forget` and `mepush erasure`: have a person forgotten, and see how far that is."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import segment
from mepush.output import JsonOption, KeyOption, Output, UrlOption, plain, row, session, table
from mepush.views.messages import moment
from mepush.words import Channel

PATH = "/v1/erasures"
_STATES = {
    "erasing": "is being searched for",
    "waiting": "is searched for once more at {}",
    "done": "is forgotten: the last search found nothing",
}
_COUNTS = {"erased": "taken out", "waiting": "not yet", "left": "for you to change", "searched": "looked through"}


def forget(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As you would send to it.")],
    channel: Annotated[Channel, typer.Option("--channel", "-c", help="Of this channel.")],
    keep_suppression: Annotated[
        bool,
        typer.Option(
            "--keep-suppression/--no-keep-suppression",
            help="Whether who is on the suppression list stays there, without the address.",
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an address out of all that is kept. It cannot be undone, and takes 16 minutes or more."""
    body = {"channel": channel, "address": address, "keep_suppression": keep_suppression}
    with session(url, key, as_json) as (api, out):
        if not yes:
            typer.confirm("What was sent to this address cannot be looked up afterwards. Go on?", abort=True, err=True)
        _show(out, api.post(PATH, body, repeat=True))


def erasure(
    id: Annotated[str, typer.Argument(metavar="ERASURE", help="Its id, which `mepush forget` prints.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far an erasure is, what it took out where, and what remains until when."""
    with session(url, key, as_json) as (api, out):
        _show(out, api.get(f"{PATH}/{segment(id)}"))


def _show(out: Output, data: dict[str, Any]) -> None:
    out.result(data, lambda console: _print(console, data))


def _print(console: Console, data: dict[str, Any]) -> None:
    words = _STATES[data["state"]].format(moment(data["next_search_at"]) if data["next_search_at"] else "once")
    console.print(plain(f"Erasure {data['id']}: the person {words}."))
    places = sorted({place for name in _COUNTS for place in data[name]})
    if places:
        found = table("place", *_COUNTS.values())
        for place in places:
            row(found, place, *(str(data[name].get(place, "")) for name in _COUNTS))
        console.print(found)
    remains = table("remains", "until")
    for each in data["remains"]:
        row(remains, each["what"], moment(each["until"]) if each["until"] else "you remove it")
    console.print(remains)
