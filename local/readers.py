"""A few recipients of the demonstration read their mail: one opens it, one follows a link, one unsubscribes.

They have nothing but the mail as it arrived, and what they do is in the timelines of their messages.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any, Protocol

import httpx

from local.sandbox.base import Outbox
from local.sandbox.outbox import Delivery
from mepush.client.api import Client, segment

SOON_S = 2.5
"""Nobody reads a message so soon after it was accepted: whoever seems to is taken for a machine."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
_POLL_SECONDS = 0.1


class Stack(Protocol):
    """What readers need of a local stack."""

    @property
    def outbox(self) -> Outbox: ...

    def wait_quiet(self, timeout: float) -> bool: ...


def _open(mail: Mapping[str, Any], person: httpx.Client) -> None:
    _get(person, _found(r'<img src="([^"]+/o/[^"]+)"', mail))


def _click(mail: Mapping[str, Any], person: httpx.Client) -> None:
    _open(mail, person)
    _get(person, _found(r'href="([^"]+/c/[^"]+)"', mail))


def _unsubscribe(mail: Mapping[str, Any], person: httpx.Client) -> None:
    header = re.fullmatch(r"<([^<>]+)>", str(mail["list_unsubscribe"]))
    if header is None:
        raise LookupError("no link to unsubscribe")
    person.post(header[1], data={"List-Unsubscribe": "One-Click"}).raise_for_status()


DOINGS: Mapping[str, Callable[[Mapping[str, Any], httpx.Client], None]] = {
    "opened": _open,
    "clicked": _click,
    "unsubscribed": _unsubscribe,
}
"""By the status that a message has afterwards, what its recipient does."""


def read_mail(
    api: Client, stack: Stack, messages: Sequence[Mapping[str, Any]], deadline: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """(the messages of those who read theirs, what is not as it must be), once all is traced or the time is up.

    messages: those of them that arrived and are tracked are read. Whoever unsubscribes may be written to again
    afterwards, so that a demonstration may be repeated.
    """
    pairs = list(zip(DOINGS, _readable(stack, messages), strict=False))
    if len(pairs) < len(DOINGS):
        return [], [f"only {len(pairs)} mails can be read, not {len(DOINGS)}"]
    time.sleep(SOON_S)
    found, wrong = [], []
    with httpx.Client(headers={"user-agent": BROWSER}, timeout=10) as person:
        for status, mail in pairs:
            try:
                DOINGS[status](mail.data, person)
            except (LookupError, httpx.HTTPError) as error:
                # Not what it says: it may hold the address of the link.
                wrong.append(f"a mail could not be {status}: {type(error).__name__}")
    for status, mail in pairs:
        message = _once_it_is(api, stack, mail.message_id or "", status, deadline)
        found.append(message)
        if message["status"] != status:
            wrong.append(f"a mail that its reader has {status} is {message['status']}")
    for status, mail in pairs:
        if status == "unsubscribed":
            api.post("/v1/suppressions/remove", {"channel": "email", "address": mail.to})
    return found, wrong


def _readable(stack: Stack, messages: Sequence[Mapping[str, Any]]) -> Iterator[Delivery]:
    arrived = {m["message_id"] for m in messages if m["channel"] == "email" and m["status"] in ("sent", "delivered")}
    for mail in stack.outbox.all():
        if mail.message_id in arrived and "/o/" in str(mail.data.get("html")):
            yield mail


def _once_it_is(api: Client, stack: Stack, message_id: str, status: str, deadline: float) -> dict[str, Any]:
    while True:
        stack.wait_quiet(max(deadline - time.monotonic(), 0.0))
        message: dict[str, Any] = api.get(f"/v1/messages/{segment(message_id)}")
        if message["status"] == status or time.monotonic() >= deadline:
            return message
        time.sleep(_POLL_SECONDS)


def _found(pattern: str, mail: Mapping[str, Any]) -> str:
    found = re.search(pattern, str(mail["html"]))
    if found is None:
        raise LookupError("no such link in the mail")
    return unescape(found[1])


def _get(person: httpx.Client, url: str) -> None:
    answer = person.get(url)
    if answer.is_error:
        answer.raise_for_status()
