"""`mepush dlq`: dead letters, which are messages that were given up and wait for a decision."""

from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client
from mepush.client.errors import MepushError
from mepush.output import JsonOption, KeyOption, Output, UrlOption, plain, row, session, table
from mepush.words import Channel, LetterState, MessageClass, Reason

app = typer.Typer(no_args_is_help=True, help="Dead letters, given up for now: list, redrive and discard them.")

ChannelOption = Annotated[Channel | None, typer.Option("--channel", help="Of this channel only.")]
ClassOption = Annotated[MessageClass | None, typer.Option("--class", help="Of this class only.")]
TemplateOption = Annotated[str | None, typer.Option("--template", "-t", help="Of this template only.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Last tried through this account only.")]
ReasonOption = Annotated[
    Reason | None, typer.Option("--reason", metavar="REASON", help="With this reason only, as the list shows it.")
]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="This one only; repeatable.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that are kept, whatever they are.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_COUNTS = ("letters", "recipients", "carried_on")


@app.command("list")
def list_letters(
    channel: ChannelOption = None,
    message_class: ClassOption = None,
    template: TemplateOption = None,
    account: AccountOption = None,
    reason: ReasonOption = None,
    state: Annotated[
        LetterState | None, typer.Option("--state", help="In this state; else those that wait for a decision.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, newest first: why they were given up, and what to do."""
    filters = _filters(channel, message_class, template, account, reason)
    with session(url, key, as_json) as (api, out):
        found = api.pages("/v1/dead-letters", "dead_letters", min(limit, 100), **filters, state=state)
        letters = list(islice(found, limit + 1))
        shown, more = letters[:limit], len(letters) > limit
        out.result({"dead_letters": shown, "more": more}, lambda console: _show(console, shown, more))


@app.command("redrive")
def redrive(
    channel: ChannelOption = None,
    message_class: ClassOption = None,
    template: TemplateOption = None,
    account: AccountOption = None,
    reason: ReasonOption = None,
    letter: IdOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters again, with fresh tries and a fresh time to live.

    Interrupted, it can be run again: nothing is lost, and nothing is sent twice.
    """
    body = _chosen(_filters(channel, message_class, template, account, reason), letter, everything)
    if everything and not yes:
        typer.confirm("Send all dead letters again?", abort=True, err=True)
    with session(url, key, as_json) as (api, out):
        _work(api, out, "redrive", body, "sent again")


@app.command("discard")
def discard(
    note: Annotated[str, typer.Option("--note", help="Why, in your own words; shown in the trace.")],
    channel: ChannelOption = None,
    message_class: ClassOption = None,
    template: TemplateOption = None,
    account: AccountOption = None,
    reason: ReasonOption = None,
    letter: IdOption = None,
    everything: AllOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Discard dead letters for good; their messages are never sent.

    Interrupted, it can be run again.
    """
    body = _chosen(_filters(channel, message_class, template, account, reason), letter, everything)
    if not yes and not letter:
        what = "all dead letters" if everything else "all dead letters that these filters fit"
        typer.confirm(f"Discard {what} for good?", abort=True, err=True)
    with session(url, key, as_json) as (api, out):
        _work(api, out, "discard", body | {"note": note}, "discarded")


def _filters(
    channel: Channel | None,
    message_class: MessageClass | None,
    template: str | None,
    account: str | None,
    reason: Reason | None,
) -> dict[str, str]:
    found = {"channel": channel, "class": message_class, "template": template, "account": account, "reason": reason}
    return {name: str(value) for name, value in found.items() if value is not None}


def _chosen(filters: dict[str, str], letters: list[str] | None, everything: bool) -> dict[str, Any]:
    """The request's body. Raises: typer.BadParameter."""
    if everything == bool(filters or letters):
        raise typer.BadParameter("give either filters (--reason, --template, --id ...) or --all", param_hint="--all")
    return {"all": True} if everything else {**filters, **({"ids": letters} if letters else {})}


def _work(api: Client, out: Output, what: str, body: dict[str, Any], done: str) -> None:
    """Repeat the call until nothing is left. Raises: MepushError when it gets no further."""
    total = dict.fromkeys(_COUNTS, 0)
    while True:
        tally = api.post(f"/v1/dead-letters/{what}", body, repeat=True)
        for name in _COUNTS:
            total[name] += tally[name]
        if not tally["left"]:
            break
        if not tally["letters"] and not tally["carried_on"]:
            text = f"{total['recipients']:,} messages were {done}; {tally['failed']:,} dead letters could not be now."
            raise MepushError(text, "Run the same command again in a while.")
        out.say(f"{total['recipients']:,} messages so far")
    out.result(total, lambda console: _show_total(console, total, done))


def _show_total(console: Console, total: dict[str, int], done: str) -> None:
    console.print(f"{total['letters']:,} dead letters with {total['recipients']:,} messages {done}.")
    if total["carried_on"]:
        console.print(f"{total['carried_on']:,} more had been begun otherwise before, and are ended now.")


def _show(console: Console, letters: list[dict[str, Any]], more: bool) -> None:
    if not letters:
        console.print("There are no such dead letters.")
        return
    made = table("dead letter", "age", "state", "queue", "template", "account", "reason", "code", "messages")
    for each in letters:
        queue = f"{each['channel']}.{each['class']}"
        facts = (each["template"], each["account"], each["reason"], each["code"], each["recipients"])
        row(made, each["id"], _age(each["age_seconds"]), each["state"], queue, *facts)
    console.print(made)
    if more:
        console.print("There are more; raise --limit.")
    console.print()
    for meaning in sorted({f"{e['reason']}: {e['explanation']} What to do: {e['action']}" for e in letters}):
        console.print(plain(meaning))


def _age(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
