"""The `mepush` command: the table of its commands, and how it starts and ends."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import typer

from mepush.client.profiles import ProfileOption, choose_profile
from mepush.lazy import Entry, LazyGroup

EPILOG = "Exit codes: 0 done, 1 the platform said no or something failed or was rejected, 2 the command was not right."


class Root(LazyGroup):
    """`mepush` itself."""

    entries: ClassVar[Mapping[str, Entry]] = {
        "send": Entry("mepush.commands.messages:send", "Send a template to an address or to a CSV's rows."),
        "trace": Entry("mepush.commands.trace:trace", "Show what happened to a message, and why."),
        "recall": Entry("mepush.commands.recall:recall", "Take back what is not sent yet, or can be withdrawn."),
        "balance": Entry("mepush.commands.messages:balance", "Show accepted messages, outcomes, what is in flight."),
        "deferred": Entry("mepush.commands.deferred:deferred", "List what waits for its time."),
        "doctor": Entry("mepush.commands.doctor:doctor", "Say whether the platform is well, and what to do."),
        "verify": Entry("mepush.commands.verify:app", "Verifications: send a code, check what is entered."),
        "campaign": Entry("mepush.commands.campaigns:app", "Campaigns: from a file of recipients to messages."),
        "template": Entry("mepush.commands.statistics:app", "Templates: push, preview, review, publish, stats."),
        "account": Entry("mepush.commands.account_more:app", "Accounts at providers: settings, secret, rate, stats."),
        "domain": Entry("mepush.commands.domains:app", "Senders' domains: whether mail from them will land."),
        "suppress": Entry("mepush.commands.suppressions:app", "The suppression list: who is not written to."),
        "forget": Entry("mepush.commands.erasures:forget", "Forget a person: take an address out of all that is kept."),
        "erasure": Entry("mepush.commands.erasures:erasure", "Show how far it is that a person is forgotten."),
        "webhook": Entry("mepush.commands.webhooks:app", "Webhooks: have events sent to your own endpoints."),
        "dlq": Entry("mepush.commands.dead_letters:app", "Dead letters: look at them, send again, discard."),
        "settings": Entry("mepush.commands.settings:app", "Settings of the whole tenant, with their versions."),
        "key": Entry("mepush.commands.keys:app", "API keys: create, list and revoke them."),
        "audit": Entry("mepush.commands.audit:audit", "Show who changed what, and how it was before."),
        "profile": Entry("mepush.commands.profiles:app", "Deployments that this command knows by name."),
    }


app = typer.Typer(
    cls=Root,
    name="mepush",
    help="Send messages by email, SMS and WeCom, and see what became of them.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    # A traceback with locals could print a key.
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # 60 ms to load, for this option alone

        print(version("mepush"))
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    profile: ProfileOption = None,
) -> None:
    """Options that stand before the command."""
    choose_profile(profile, context)


def main() -> None:
    """Run the command and exit."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A Windows console may have no character for a name; a question mark is better than a traceback.
            reconfigure(errors="replace")
    try:
        app(prog_name="mepush")
    except Exception as error:  # the last resort: whatever it is, a person gets a sentence
        if "MEPUSH_DEBUG" in os.environ:
            raise
        # A traceback tells a person nothing, and the text of an unforeseen error may hold a secret or an address.
        said = f"The command itself failed ({type(error).__name__})."
        hint = "Run it again with MEPUSH_DEBUG=1 in the environment, and report what it prints."
        if "--json" in sys.argv:
            print(json.dumps({"error": said, "hint": hint, "errors": []}, indent=2))
        else:
            print(said, hint, sep="\n", file=sys.stderr)
        sys.exit(1)
