"""`mepush account`: provider accounts."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, UsageError
from mepush.files.accounts import find_secret, read_accounts
from mepush.files.toml import read_toml
from mepush.output import JsonOption, KeyOption, UrlOption, fail_if, plain, row, session, table
from mepush.views.messages import moment

app = typer.Typer(no_args_is_help=True, help="Provider accounts: add, list, verify and delete them.")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
_ORIGINS = {
    "account": "set for the account",
    "verified": "named by the provider when the account was verified",
    "provider": "the provider's limit for every account",
}


@app.command("add")
def add(
    file: Annotated[Path, typer.Option("--file", exists=True, dir_okay=False, help="A TOML file of [[account]]s.")],
    only: Annotated[str | None, typer.Option("--only", help="Only this account of the file.")] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", exists=True, dir_okay=False, help="TOML: a table of secrets per account id."),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Change an account that exists; also its secret.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Configure the accounts of a file.

    Secrets are taken from --secret-file, from the environment variables that `secret_env` names, or asked for.
    """
    with session(url, key, as_json) as (api, out):
        entries = read_accounts(file, only)
        tables = read_toml(secret_file) if secret_file else {}
        bodies = [{**_body(entry), "secret": find_secret(entry, tables, os.environ)} for entry in entries]
        views = [_add(api, body, update) for body in bodies]
        out.result({"accounts": views}, lambda console: _show_accounts(console, views))


@app.command("list")
def list_accounts(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """List the accounts; secrets are masked."""
    with session(url, key, as_json) as (api, out):
        found = list(api.pages("/v1/accounts", "accounts"))
        out.result({"accounts": found}, lambda console: _show_accounts(console, found))


@app.command("show")
def show(account: AccountArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show an account, with the rate at which it sends and where that comes from."""
    with session(url, key, as_json) as (api, out):
        data = api.get(f"/v1/accounts/{segment(account)}")
        out.result(data, lambda console: _show_account(console, data))


@app.command("rate")
def rate(
    account: AccountArgument,
    per_second: Annotated[
        float | None, typer.Option("--per-second", help="Messages a second, in the long run.")
    ] = None,
    burst: Annotated[int | None, typer.Option("--burst", help="How many may go at once after a pause.")] = None,
    per_day: Annotated[int | None, typer.Option("--per-day", help="The most on a day (UTC).")] = None,
    code_share: Annotated[
        float | None, typer.Option("--code-share", help="The part that is kept for codes, 0 to 0.5; else 0.1.")
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Go back to what the provider says.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set how fast an account may send."""
    given = {"per_second": per_second, "burst": burst, "per_day": per_day, "code_share": code_share}
    wanted = {name: value for name, value in given.items() if value is not None}
    with session(url, key, as_json) as (api, out):
        if default == bool(wanted) or (wanted and (per_second is None or burst is None)):
            raise UsageError("Give --per-second and --burst, or --default.")
        data = api.patch(f"/v1/accounts/{segment(account)}", {"rate": wanted or None})
        out.result(data, lambda console: _show_account(console, data))


@app.command("fee")
def fee(
    account: AccountArgument,
    amount: Annotated[
        float | None, typer.Option("--amount", help="For a message, or each part of a long text message.")
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Such as CNY or USD.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Go back to the provider's list price.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what the provider charges for a message; campaigns are estimated by it."""
    wanted = None if amount is None or currency is None else {"amount": amount, "currency": currency.upper()}
    with session(url, key, as_json) as (api, out):
        if default == (wanted is not None) or (wanted is None and (amount is not None or currency is not None)):
            raise UsageError("Give --amount and --currency, or --default.")
        data = api.patch(f"/v1/accounts/{segment(account)}", {"fee": wanted})
        out.result(data, lambda console: _show_account(console, data))


@app.command("verify")
def verify(account: AccountArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Try an account without sending a message to anyone."""
    with session(url, key, as_json) as (api, out):
        data = api.post(f"/v1/accounts/{segment(account)}/verify", repeat=True)
        out.result(data, lambda console: _show_verification(console, data))
        fail_if(not data["ok"])


@app.command("mailbox")
def mailbox(
    account: AccountArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Show how the reading of an account's bounce mailbox goes."""
    with session(url, key, as_json) as (api, out):
        data = api.get(f"/v1/accounts/{segment(account)}/mailbox")
        out.result(data, lambda console: _show_mailbox(console, data))
        fail_if(data["failures"] > 0)


@app.command("callback")
def callback(
    account: AccountArgument,
    new: Annotated[
        bool, typer.Option("--new", help="Make it anew; the old one opens nothing any more, within 10 seconds.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the provider is to call to say what became of messages. Who knows it can say so, too."""
    with session(url, key, as_json) as (api, out):
        path = f"/v1/accounts/{segment(account)}"
        data = api.post(f"{path}/callback") if new else api.get(path)
        if not data["callback_url"]:
            raise UsageError(f"The provider {data['provider']} makes no callbacks, or the key may not change accounts.")
        out.result(data, lambda console: console.print(plain(data["callback_url"]), soft_wrap=True))


@app.command("delete")
def delete(account: AccountArgument, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Delete an account that no template uses, with its secret."""
    with session(url, key, as_json) as (api, out):
        api.delete(f"/v1/accounts/{segment(account)}")
        out.result({"deleted": account}, lambda console: console.print(plain(f"{account} is deleted")))


def _body(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "secret_env"}


def _add(api: Client, body: dict[str, Any], update: bool) -> dict[str, Any]:
    try:
        created: dict[str, Any] = api.post("/v1/accounts", body)
        return created
    except ApiError as error:
        if error.status != 409:
            raise
        if not update:
            error.hint = "To change it, run the same with --update."
            raise
    # An empty secret would mean that there is none any more; leaving it out keeps the one that is stored.
    changes = {name: value for name, value in body.items() if name != "id" and value != {}}
    changed: dict[str, Any] = api.patch(f"/v1/accounts/{segment(body['id'])}", changes)
    return changed


def _show_accounts(console: Console, accounts: list[dict[str, Any]]) -> None:
    made = table("account", "name", "channel", "provider", "weight", "state", "secret", "changed (UTC)")
    for a in accounts:
        secret = ", ".join(sorted(a["secret"])) or None
        facts = (a["channel"], a["provider"], a["weight"], a["state"], secret, moment(a["updated_at"]))
        row(made, a["id"], a["name"], *facts)
    console.print(made if accounts else "There are no accounts.")


def _show_verification(console: Console, data: dict[str, Any]) -> None:
    console.print(plain(data["summary"]), style="green" if data["ok"] else "red")
    if data["action"]:
        console.print(plain(f"What to do: {data['action']}"))
    if data["raw_code"]:
        console.print(plain(f"code {data['raw_code']}"))
    if data["rate"]:
        console.print(plain(f"Unless the account has a rate of its own it sends {_words(data['rate'])}."))


_MAILS = {
    "bounces": "bounces",
    "complaints": "complaints",
    "auto_replies": "answers of machines",
    "unreadable": "that say too little",
    "others": "others",
}


def _show_mailbox(console: Console, data: dict[str, Any]) -> None:
    if not data["configured"]:
        console.print(plain(f"{data['account']} names no bounce mailbox: set `bounce_mailbox` in its settings."))
        return
    looked = moment(data["looked_at"]) if data["looked_at"] else "never"
    console.print(plain(f"last read: {looked}"), style="red" if data["failures"] else "green")
    problem = data["problem"]
    if problem and data["failures"]:
        console.print(plain(f"Since {moment(data['failing_since'])} it cannot be read: {problem['summary']}"))
        console.print(plain(f"What to do: {problem['action']}"))
        console.print(plain(f"Tries: {data['failures']}; the next one not before {moment(data['next_look_at'])}."))
    elif problem:
        console.print(plain(f"The last problem is over ({moment(problem['at'])}): {problem['summary']}"))
    counts = ", ".join(f"{data['counts'][name]:,} {words}" for name, words in _MAILS.items())
    console.print(plain(f"mails: {counts}"))
    if data["unreadable"]:
        made = table("came (UTC)", "kind", "why it says too little")
        for mail in data["unreadable"]:
            row(made, moment(mail["at"]), mail["kind"], mail["reason"])
        console.print(made)


def _show_account(console: Console, a: dict[str, Any]) -> None:
    console.print(
        plain(f"{a['id']}: {a['name']} ({a['channel']}, {a['provider']}), {a['state']}, weight {a['weight']}")
    )
    if a["rate"]:
        console.print(plain(f"rate: {_words(a['rate'])}; {_ORIGINS[a['rate_from']]}"))
    else:
        console.print("rate: as fast as it can")
    console.print(plain(f"fee: {_fee_words(a)}"))
    if a.get("callback_url"):
        console.print(plain(f"callback: {a['callback_url']}"), soft_wrap=True)


def _fee_words(a: dict[str, Any]) -> str:
    if not a.get("fee"):
        return "not known; set it with `mepush account fee`"
    origin = "set for the account" if a["fee_from"] == "account" else "the provider's list price"
    unit = "a message, or part of a long one" if a["channel"] == "sms" else "a message"
    if not a["fee"]["amount"]:
        return f"none; {origin}"
    return f"{a['fee']['amount']:.10g} {a['fee']['currency']} for {unit}; {origin}"


def _words(rate: dict[str, Any]) -> str:
    day = f", {rate['per_day']:,} a day" if rate.get("per_day") else ""
    codes = f", {rate.get('code_share', 0.1):.0%} of it kept for codes" if rate.get("code_share", 0.1) else ""
    return f"at most {rate['per_second']:g} a second in the long run, {rate['burst']:,} at once{day}{codes}"
