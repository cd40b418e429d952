"""The `mepush` command."""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from cli import (
    accounts,
    audit,
    campaigns,
    deadletters,
    deferred,
    doctor,
    keys,
    messages,
    recalling,
    reviews,
    settings,
    suppressions,
    templates,
)

EPILOG = "Exit codes: 0 done, 1 the platform said no or something failed or was rejected, 2 the command was not right."

app = typer.Typer(
    name="mepush",
    help="Send messages by email, SMS and WeCom, and see what became of them.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    # A traceback with locals could print a key.
    pretty_exceptions_enable=False,
)
# Short helps fit beside the names on a terminal of 80 columns.
app.command("send", short_help="Send a template to an address or to a CSV's rows.")(messages.send)
app.command("trace", short_help="Show what happened to a message, and why.")(messages.trace)
app.command("recall", short_help="Take back what is not sent yet, or can be withdrawn.")(recalling.recall)
app.command("balance", short_help="Show accepted messages, outcomes, what is in flight.")(messages.balance)
app.command("deferred", short_help="List what waits for its time.")(deferred.deferred)
app.command("doctor", short_help="Say whether the platform is well, and what to do.")(doctor.doctor)
app.command("bootstrap", short_help="Make a deployment's first API key, in its table.")(keys.bootstrap)
app.command("audit", short_help="Show who changed what, and how it was before.")(audit.audit)
templates.app.command("submit")(reviews.submit)
templates.app.command("approve")(reviews.approve)
templates.app.command("reject")(reviews.reject)
app.add_typer(templates.app, name="template")
app.add_typer(campaigns.app, name="campaign")
app.add_typer(accounts.app, name="account")
app.add_typer(keys.app, name="key")
app.add_typer(settings.app, name="settings")
app.add_typer(deadletters.app, name="dlq")
app.add_typer(suppressions.app, name="suppress")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(installed_version("mepush"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Run the command and exit."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A Windows console may have no character for a name; a question mark is better than a traceback.
            reconfigure(errors="replace")
    app()
