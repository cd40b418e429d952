"""`mepush recall`: takes messages back that are not sent yet, or that their provider takes back."""

from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import segment
from mepush.client.errors import UsageError
from mepush.output import JsonOption, KeyOption, UrlOption, fail_if, plain, row, session, table
from mepush.views.messages import SHOWN_ROWS, moment
from mepush.words import MESSAGE_ID_LENGTH, REQUEST_ID_LENGTH

DONE = frozenset({"recalled", "withdrawn"})
"""Results after which nobody has the message."""


def recall(
    what: Annotated[str, typer.Argument(metavar="ID", help="A message id, or a request id for all its messages.")],
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recall a message or the messages of a request, and say for each what came of it.

    What waits or is tried again is not sent any more; WeCom's app messages are taken back for a day. Exit code 1 if
    not all could be. It can be run again, and should be while messages are in progress.
    """
    with session(url, key, as_json) as (api, out):
        found = api.post(_path(what.strip().upper()), repeat=True)
        out.result(found, lambda console: _show(console, found))
        fail_if(any(result not in DONE for result in found["counts"]))


def _path(id: str) -> str:
    """The path of the operation. Raises: UsageError for what is no id."""
    kinds = {MESSAGE_ID_LENGTH: "messages", REQUEST_ID_LENGTH: "requests"}
    if len(id) not in kinds:
        text = f"{id} is no id: a message's has {MESSAGE_ID_LENGTH} characters, a request's {REQUEST_ID_LENGTH}."
        raise UsageError(text, "Copy the whole id, as `mepush trace` shows it.")
    return f"/v1/{kinds[len(id)]}/{segment(id)}/recall"


def _show(console: Console, found: dict[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {result}" for result, count in sorted(found["counts"].items()))
    console.print(plain(f"request {found['request_id']}: {counts}"), style="bold")
    # What did not go as asked comes first.
    messages = sorted(found["messages"], key=lambda message: message["result"] in DONE)
    made = table("message", "result", "it was", "status", "since", "what happened")
    for each in messages[:SHOWN_ROWS]:
        since = moment(each["at"]) if each["at"] else None
        row(made, each["message_id"], each["result"], each["before"], each["status"], since, each["detail"])
    console.print(made)
    if len(messages) > SHOWN_ROWS:
        console.print(f"\n... and {len(messages) - SHOWN_ROWS:,} more; --json has them all")
    if found["counts"].get("in_progress"):
        console.print("\nSome are in progress: run the same command again in some seconds.")
