"""A few recipients of the demonstration open a mail, follow a link, or unsubscribe; a mail server scans one.

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
SCANNER = "Barracuda Sentinel (EE)"
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


def _scan(mail: Mapping[str, Any], server: httpx.Client) -> None:
    server.headers["user-agent"] = SCANNER
    _click(mail, server)


DOINGS: Mapping[str, Callable[[Mapping[str, Any], httpx.Client], None]] = {
    "opened": _open,
    "clicked": _click,
    "unsubscribed": _unsubscribe,
    "delivered": _scan,
}
"""By the status that a message has afterwards, what its recipient does, or their mail server."""


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
    for status, mail in pairs:
        with httpx.Client(headers={"user-agent": BROWSER}, timeout=10) as reader:
            try:
                DOINGS[status](mail.data, reader)
            except (LookupError, httpx.HTTPError) as error:
                # Not what it says: it may hold the address of the link.
                wrong.append(f"a mail could not be {status}: {type(error).__name__}")
    for status, mail in pairs:
        message = _once_it_is(api, stack, mail.message_id or "", status, deadline)
        found.append(message)
        if not _shows(message, status):
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
        if _shows(message, status) or time.monotonic() >= deadline:
            return message
        time.sleep(_POLL_SECONDS)


def _shows(message: Mapping[str, Any], status: str) -> bool:
    """Whether a message's timeline has what its reader did; what a machine did is there, and leaves the status."""
    seen = [event for event in message["timeline"] if event["stage"] in ("opened", "clicked")]
    told = seen and all(event["by_machine"] for event in seen) if status == "delivered" else True
    return bool(message["status"] == status and told)


def _found(pattern: str, mail: Mapping[str, Any]) -> str:
    found = re.search(pattern, str(mail["html"]))
    if found is None:
        raise LookupError("no such link in the mail")
    return unescape(found[1])


def _get(person: httpx.Client, url: str) -> None:
    answer = person.get(url)
    if answer.is_error:
        answer.raise_for_status()
