"""`mepush audit`: who changed what, and how it was before."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.output import JsonOption, KeyOption, UrlOption, parse_time, row, session, table
from mepush.views.messages import moment

SHOWN = 40
"""Characters of a value shown to a person; --json has it whole."""
_PLAIN = frozenset({"updated_at", "changed_at", "changed_by"})
"""What every change changes."""

TimeOption = datetime | None


def audit(
    after: Annotated[
        TimeOption, typer.Option("--after", metavar="TIME", parser=parse_time, help="From this time on, with its zone.")
    ] = None,
    before: Annotated[
        TimeOption, typer.Option("--before", metavar="TIME", parser=parse_time, help="Before this time.")
    ] = None,
    who: Annotated[str | None, typer.Option("--who", help="By this key's id.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Of this, and what belongs to it: template/login-code, settings.")
    ] = None,
    action: Annotated[str | None, typer.Option("--action", help="By this operation, such as publish_version.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who changed what and when, the newest first."""
    times = {name: at.isoformat() for name, at in (("after", after), ("before", before)) if at is not None}
    with session(url, key, as_json) as (api, out):
        found = api.pages("/v1/audit", "records", min(limit, 100), who=who, target=target, action=action, **times)
        records = list(islice(found, limit + 1))
        shown, more = records[:limit], len(records) > limit
        out.result({"records": shown, "more": more}, lambda console: _show(console, shown, more))


def _show(console: Console, records: list[dict[str, Any]], more: bool) -> None:
    made = table("when (UTC)", "key", "name", "action", "target", "what changed")
    for each in records:
        words = "\n".join(_changes(each))
        row(made, moment(each["at"]), each["who"], each["who_name"] or None, each["action"], each["target"], words)
    console.print(made if records else "There are no records of this.")
    if more:
        console.print("There are more; raise --limit, or narrow the search.")


def _changes(record: dict[str, Any]) -> Iterator[str]:
    if record["before"] is None:
        yield "is new"
    elif record["after"] is None:
        yield "is gone"
    elif not set(record["changed"]) - _PLAIN:
        yield "nothing but its time"
    else:
        for path in record["changed"]:
            if path not in _PLAIN:
                old, new = (_value(record[when], path) for when in ("before", "after"))
                # A secret looks the same before and after.
                yield f"{path}: another one" if old == new else f"{path}: {old} -> {new}"


def _value(document: Any, path: str) -> str:
    # A field's name may itself hold a dot: then the value is not found, and a dash is shown.
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    if isinstance(document, dict) and document.keys() == {"sha256", "bytes"}:
        return f"({document['bytes']:,} bytes)"
    text = "-" if document is None else str(document)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
