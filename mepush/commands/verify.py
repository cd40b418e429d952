"""`mepush verify`: send codes, check them, and see how far a verification is."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.commands.verification_guard import block, forget, guard, hold, release
from mepush.output import JsonOption, KeyOption, UrlOption, fail_if, parse_pairs, plain, session
from mepush.views.messages import moment

app = typer.Typer(help="Verifications: send somebody a code, and check what they enter.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The verification's id, as `verify start` shows it.")]


@app.command()
def start(
    to: Annotated[str, typer.Argument(metavar="ADDRESS", help="A telephone number, an email address or a member.")],
    template: Annotated[str, typer.Option("--template", help="Of the class verification; it shows {{ code }}.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What the code is for.")] = "login",
    locale: Annotated[str | None, typer.Option("--locale", help="The recipient's language, such as zh-CN.")] = None,
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="A further variable; repeatable.")
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option("--fallback", metavar="CHANNEL=ADDRESS", help="Where it is sent instead; repeatable."),
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Send it by this channel of the fallback.")] = None,
    bind: Annotated[str | None, typer.Option("--bind", help="What a check must come with, such as a session.")] = None,
    length: Annotated[int, typer.Option("--length", min=4, max=8, help="Digits of the code.")] = 6,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=60, help="How long the code is valid.")] = 10,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a code. Asked again within its time, the same code is sent once more."""
    given = {"locale": locale, "channel": channel, "bind": bind}
    more: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if var:
        more["variables"] = parse_pairs(var, "--var")
    if fallback:
        more["fallback"] = parse_pairs(fallback, "--fallback")
    with session(url, key, as_json) as (api, out):
        started = api.verifications.start(to, template, purpose, length=length, valid_minutes=minutes, **more)
        out.result(started, lambda console: _show(console, started))


@app.command()
def check(
    id: IdArgument,
    code: Annotated[str, typer.Argument(metavar="CODE", help="As it was entered.")],
    bind: Annotated[str | None, typer.Option("--bind", help="What it was bound to.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a code. Exit code 1 unless it is approved."""
    with session(url, key, as_json) as (api, out):
        found = api.verifications.check(id.strip(), code, bind)
        left = f" ({found['checks_left']} left)" if found["result"] == "wrong" else ""
        out.result(found, lambda console: console.print(plain(f"{found['result']}{left}: {found['detail']}")))
        fail_if(found["result"] != "approved")


@app.command()
def show(id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show how far a verification is."""
    with session(url, key, as_json) as (api, out):
        found = api.verifications.get(id.strip())
        out.result(found, lambda console: _show(console, found))


@app.command()
def cancel(id: IdArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Have a code count no more."""
    with session(url, key, as_json) as (api, out):
        found = api.verifications.cancel(id.strip())
        out.result(found, lambda console: _show(console, found))


for command in (guard, hold, block, release, forget):
    app.command()(command)


def _show(console: Console, found: dict[str, Any]) -> None:
    console.print(plain(f"verification {found['id']}: {found['status']}"), style="bold")
    console.print(plain(f"for {found['purpose']}, by {found['channel']}, with the template {found['template']}"))
    until = "decided" if found["decided_at"] else "valid until"
    when = moment(found["decided_at"] or found["expires_at"])
    count = len(found["messages"])
    sent = "one message" if count == 1 else f"{count} messages"
    console.print(plain(f"{sent}; {until} {when} UTC; checks left: {found['checks_left']}"))
    console.print(plain(f"its last message: mepush trace {found['messages'][-1]}"))
