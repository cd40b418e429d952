"""`mepush deferred`: what waits for its time."""

from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.output import JsonOption, KeyOption, UrlOption, row, session, table
from mepush.views.messages import moment


def deferred(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for its time, if that is more than 15 minutes away: by send_at, a policy or a retry.

    `mepush recall` with the request's id takes it back.
    """
    with session(url, key, as_json) as (api, out):
        found = list(islice(api.pages("/v1/deferred", "deferred", min(limit, 100)), limit + 1))
        shown, more = found[:limit], len(found) > limit
        out.result({"deferred": shown, "more": more}, lambda console: _show(console, shown, more))


def _show(console: Console, found: list[dict[str, Any]], more: bool) -> None:
    if not found:
        console.print("Nothing waits for more than 15 minutes.")
        return
    made = table("due (UTC)", "messages", "why", "class", "template", "request")
    for each in found:
        row(
            made,
            moment(each["due_at"])[:16],
            each["recipients"],
            each["kind"],
            f"{each['channel']}.{each['class']}",
            each["template"],
            each["request_id"],
        )
    console.print(made)
    if more:
        console.print("There are more; raise --limit.")
