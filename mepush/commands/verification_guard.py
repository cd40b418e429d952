"""`mepush verify guard`, and what people decide of prefixes: the guard against SMS pumping."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.output import JsonOption, KeyOption, Output, UrlOption, plain, row, session, table
from mepush.views.messages import moment

PATH = "/v1/verifications/guard"
PrefixArgument = Annotated[
    str, typer.Argument(metavar="PREFIX", help="The first one to seven digits with the country code, such as 62812.")
]
MinutesOption = Annotated[int | None, typer.Option("--minutes", min=1, max=43_200, help="For how long.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit log and whoever is refused.")]


def guard(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show which prefixes of telephone numbers are held, and the figures of all."""
    with session(url, key, as_json) as (api, out):
        data = api.get(PATH)
        out.result(data, lambda console: _show(console, data))


def hold(
    prefix: PrefixArgument,
    minutes: MinutesOption = None,
    reason: ReasonOption = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send no code by SMS to numbers that begin with a prefix, for an hour or as long as you say."""
    with session(url, key, as_json) as (api, out):
        _decide(api, out, prefix, "held", minutes, reason)


def block(
    prefix: PrefixArgument,
    reason: ReasonOption = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send no code by SMS to numbers that begin with a prefix, until somebody releases it."""
    with session(url, key, as_json) as (api, out):
        _decide(api, out, prefix, "blocked", None, reason)


def release(
    prefix: PrefixArgument,
    minutes: MinutesOption = None,
    reason: ReasonOption = "",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a prefix go: the guard does not hold it for a day, or as long as you say."""
    with session(url, key, as_json) as (api, out):
        _decide(api, out, prefix, "released", minutes, reason)


def forget(prefix: PrefixArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Leave a prefix to the guard again, as if nothing had been decided."""
    with session(url, key, as_json) as (api, out):
        api.delete(_path(prefix))
        words = f"+{prefix.removeprefix('+')} is left to the guard again, within 10 seconds"
        out.result({"prefix": prefix}, lambda console: console.print(plain(words)))


def _path(prefix: str) -> str:
    return f"{PATH}/{segment(prefix.removeprefix('+'))}"


def _decide(api: Client, out: Output, prefix: str, state: str, minutes: int | None, reason: str) -> None:
    body = {"state": state, "minutes": minutes, "reason": reason}
    data = api.put(_path(prefix), {name: value for name, value in body.items() if value})
    until = "until somebody changes it" if data["until"] is None else f"until {moment(data['until'])} UTC"
    words = f"+{data['prefix']} is {state} {until}; it counts within 10 seconds"
    out.result(data, lambda console: console.print(plain(words)))


def _show(console: Console, data: dict[str, Any]) -> None:
    console.print(plain(_MODES[data["mode"]]))
    if not data["prefixes"]:
        console.print("No code was sent by SMS yet.")
        return
    made = table("prefix", "country", "started", "usual", "refused", "entered", "state", "since (UTC)", "until", "why")
    for each in data["prefixes"]:
        entered = None if each["conversion"] is None else f"{each['conversion']:.0%}"
        state = each["state"] if each["enforced"] else f"would be {each['state']}"
        times = (each[name] and moment(each[name]) for name in ("since", "until"))
        counts = each["started"], f"{each['usual']:g}", each["refused"], entered
        row(made, f"+{each['prefix']}", each["country"], *counts, state, *times, each["why"] or None)
    console.print(made)
    if data["more"]:
        console.print(plain(f"Of {data['more']} more first digits, used longer ago, nothing is shown."))


_MODES = {
    "enforce": "The guard is on. Figures are of the last hour.",
    "monitor": "The guard monitors: it says what it would hold, and holds nothing. Figures are of the last hour.",
    "off": "The guard is off (`verification_guard.mode` of the settings).",
}
