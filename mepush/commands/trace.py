"""`mepush trace`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from mepush.client.api import Client, segment
from mepush.client.errors import ApiError, UsageError
from mepush.output import JsonOption, KeyOption, UrlOption, plain, session
from mepush.views.timelines import Language, Reader, about_times, reader, timeline
from mepush.words import MESSAGE_ID_LENGTH, REQUEST_ID_LENGTH, Channel

_LETTER = "[0-9A-HJKMNP-TV-Z]"
_ID = re.compile(rf"^[0-7]{_LETTER}{{{REQUEST_ID_LENGTH - 1}}}({_LETTER}{{{MESSAGE_ID_LENGTH - REQUEST_ID_LENGTH}}})?$")
_LIKE_AN_ID = re.compile(r"[0-7][0-9a-z]{15,}", re.IGNORECASE)
"""What is most likely an id of ours, and if not that, some rare WeCom user id."""
_SHOWN_MESSAGES = 20


def trace(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID|ADDRESS ...", help="A message id, a request id, or one or several addresses of a person."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="What was sent with this word of yours, instead.")
    ] = None,
    channel: Annotated[Channel | None, typer.Option("--channel", help="For an address: this channel only.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100, help="For an address or a reference: how many.")
    ] = 20,
    unmask: Annotated[
        bool, typer.Option("--unmask", help="Show whole addresses. The look is recorded in the audit log.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Show providers' codes and ids, too.")] = False,
    utc: Annotated[bool, typer.Option("--utc", help="Show times in UTC, and not in your own time zone.")] = False,
    lang: Annotated[Language | None, typer.Option("--lang", help="The language; else what LANG says.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what happened to a message, to those of a request, to a person's addresses or with a reference."""
    if bool(what) == (reference is not None):
        raise typer.BadParameter("Missing argument: give an id, an address or --reference", param_hint="ID|ADDRESS")
    if channel is not None and len(what or ()) != 1:
        raise typer.BadParameter("belongs to one address; leave it out", param_hint="--channel")
    with session(url, key, as_json) as (api, out):
        data = _found(Finding(api, limit, unmask), [each.strip() for each in what or ()], reference, channel)
        out.result(data, lambda console: _show_trace(console, data, reader(lang, raw=raw, utc=utc)))


@dataclass(frozen=True, slots=True)
class Finding:
    """Asks the API for messages. limit: of a page. unmask: with whole addresses."""

    api: Client
    limit: int
    unmask: bool

    def find(self, what: str, channel: Channel | None) -> dict[str, Any]:
        """A message, a request or a page of messages. Raises: ApiError; UsageError for an id that is none."""
        wanted = what.upper()
        shape = _ID.match(wanted)
        if shape and channel is None:
            try:
                return self._message(wanted) if shape[1] else self._request(wanted)
            except ApiError as error:
                # A WeCom user id may look like an id of ours; what is neither is reported as the id it seemed to be.
                if error.status != 404:
                    raise
                page = self.query(to=what, channel=Channel.WECOM)
                if not page["messages"]:
                    raise
                return page
        page = self.query(to=what, channel=channel)
        if not page["messages"] and channel is None and _LIKE_AN_ID.fullmatch(what):
            raise UsageError(
                f"{what} is no message id: one has {MESSAGE_ID_LENGTH} characters, a request's {REQUEST_ID_LENGTH}, "
                "and none of them is I, L, O or U.",
                "Copy the whole id. As an address, nothing was sent to it either.",
            )
        return page

    def query(self, **of: Any) -> dict[str, Any]:
        """A page of messages."""
        body: dict[str, Any] = {**of, "limit": self.limit, "unmask": self.unmask or None}
        wanted = {name: value for name, value in body.items() if value is not None}
        return dict(self.api.post("/v1/messages/query", wanted, repeat=True))

    def _message(self, message_id: str) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/messages/{segment(message_id)}", unmask=self._asked))

    def _request(self, request_id: str) -> dict[str, Any]:
        """A request with all its pages joined."""
        path = f"/v1/requests/{segment(request_id)}"
        messages: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        cursor: str | None = None
        while True:
            page = self.api.get(path, limit=100, cursor=cursor, unmask=self._asked)
            messages += page["messages"]
            for status, count in page["counts"].items():
                counts[status] = counts.get(status, 0) + count
            cursor = page.get("cursor")
            if cursor is None:
                return {"request_id": page["request_id"], "counts": counts, "messages": messages}

    @property
    def _asked(self) -> str | None:
        """As a query of the API has it."""
        return "true" if self.unmask else None


def _found(finding: Finding, what: list[str], reference: str | None, channel: Channel | None) -> dict[str, Any]:
    if reference is not None:
        return finding.query(reference=reference)
    return finding.find(what[0], channel) if len(what) == 1 else finding.query(addresses=what)


def _show_trace(console: Console, data: dict[str, Any], who: Reader) -> None:
    if "timeline" in data:
        console.print(timeline(data, who))
        _say_zone(console, [data], who)
        return
    messages = data["messages"]
    if "counts" in data:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(data["counts"].items()))
        console.print(plain(f"request {data['request_id']}: {counts}"), style="bold")
    for request in data.get("requests", []):
        console.print(plain(f"request {request} has this reference: mepush trace {request}"))
    if not messages and not data.get("requests"):
        console.print("Nothing was sent so; what was accepted in the last seconds appears shortly.")
    for position, message in enumerate(messages[:_SHOWN_MESSAGES]):
        if position or "counts" in data:
            console.print()
        console.print(timeline(message, who))
    _say_zone(console, messages, who)
    if len(messages) > _SHOWN_MESSAGES:
        console.print(f"\n... and {len(messages) - _SHOWN_MESSAGES:,} more; --json has them all")
    elif data.get("cursor"):
        console.print("\nThere are older ones; raise --limit.")


def _say_zone(console: Console, messages: list[dict[str, Any]], who: Reader) -> None:
    if words := about_times(messages, who):
        console.print(plain(words), style="dim")
