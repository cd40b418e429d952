"""The `mepush` command."""

import sys
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from cli import accounts, keys, messages, templates

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
app.command("send")(messages.send)
app.command("trace")(messages.trace)
app.command("balance")(messages.balance)
app.command("bootstrap")(keys.bootstrap)
app.add_typer(templates.app, name="template")
app.add_typer(accounts.app, name="account")
app.add_typer(keys.app, name="key")


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
