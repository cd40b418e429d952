"""Sends everything of `examples/` through the API as a user would, and checks what became of every recipient."""

import csv
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from rich.console import Console

from local.readers import read_mail
from local.sandbox.base import Outbox
from local.seed import EXAMPLES
from mepush.client.api import Client, segment
from mepush.files.recipients import read_audience
from mepush.files.sending import FileResult, RowResult, fit, placeholders, send_file
from mepush.output import plain, row, table
from mepush.views.messages import show_balance
from mepush.views.timelines import Reader, timeline

ARRIVED = frozenset({"sent", "delivered"})
"""What counts as sent: not all providers say more."""
REPORTED = frozenset({"undelivered", "complained"})
"""Ends of messages that were sent before."""
ONE_EACH = ("smtp", "ses", "tencent", "aws")
"""The sandbox providers that get one call per recipient, so that their outbox must count what was sent."""
_POLL_SECONDS = 0.25

Expected = dict[tuple[str, int], tuple[str, str]]
"""(audience, row) -> (end, reason)."""


class Stack(Protocol):
    """What the demonstration needs of a local stack."""

    @property
    def url(self) -> str: ...

    @property
    def outbox(self) -> Outbox: ...

    def wait_quiet(self, timeout: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Send:
    """One entry of sends.toml."""

    audience: str
    template: str
    reference: str | None = None
    to_column: str = "to"
    reference_column: str | None = None
    ignore: list[str] = field(default_factory=list)
    encoding: str = "utf-8"
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was rejected."""

    audience: str
    result: RowResult


@dataclass(slots=True)
class Report:
    """What the demonstration found.

    mismatches: in words, empty when all went as expected. ends: how many recipients came to each end. timelines: of
    one message per channel, and of those who read their mail. delivered: of those that were sent, as providers
    reported. seconds: until all was accepted, sent and traced; accepted_seconds: until all was accepted.
    """

    mismatches: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)
    balance: dict[str, Any] = field(default_factory=dict)
    recipients: int = 0
    delivered: int = 0
    accepted_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every recipient came to its expected end and the books balance."""
        return not self.mismatches

    def show(self, console: Console) -> None:
        """Print it for people."""
        _show(self, console)


def read_sends(folder: Path = EXAMPLES) -> list[Send]:
    """The entries of sends.toml."""
    return [Send(**entry) for entry in tomllib.loads((folder / "sends.toml").read_text(encoding="utf-8"))["send"]]


def read_expected(folder: Path = EXAMPLES) -> Expected:
    """What must become of every row, by expected.csv."""
    with (folder / "expected.csv").open(encoding="utf-8", newline="") as file:
        return {(line["audience"], int(line["row"])): (line["end"], line["reason"]) for line in csv.DictReader(file)}


def run_demo(stack: Stack, key: str, folder: Path = EXAMPLES, timeout: float = 60.0) -> Report:
    """Send the examples, wait up to `timeout` seconds for their traces, and compare.

    key: may send and read. May be repeated: each run sends anew. Raises: MepushError if the API cannot be used at all.
    """
    report = Report()
    with Client(stack.url, key) as api:
        expected = read_expected(folder)
        _forgive(api, folder, expected)
        before = _Books(api, stack.outbox)
        start = time.monotonic()
        results = _send_all(api, folder)
        report.accepted_seconds = time.monotonic() - start
        traced = _wait(api, stack, results, start + timeout)
        report.seconds = time.monotonic() - start
        _compare(report, results, traced, expected)
        _check_books(report, before, _Books(api, stack.outbox), traced, results)
        report.timelines = list(_one_per_channel(traced))
        read, wrong = read_mail(api, stack, list(traced.values()), start + timeout)
        report.timelines += read
        report.mismatches += wrong
    return report


def _forgive(api: Client, folder: Path, expected: Expected) -> None:
    """Take those off the suppression list whom an earlier demonstration put there."""
    for send in read_sends(folder):
        rows = {row for (audience, row), (end, _) in expected.items() if audience == send.audience and end in REPORTED}
        if rows:
            path = folder / "audience" / send.audience
            audience = read_audience(path, send.to_column, send.reference_column, send.ignore, send.encoding)
            for address in (row.recipient["to"] for row in audience.rows if row.number in rows):
                api.post("/v1/suppressions/remove", {"channel": "email", "address": address})


def _send_all(api: Client, folder: Path) -> list[tuple[str, FileResult]]:
    """Send every entry; each run has a word of its own, so that it is not taken for a repetition of the last."""
    salt = uuid4().hex
    results = []
    for send in read_sends(folder):
        path = folder / "audience" / send.audience
        audience = read_audience(path, send.to_column, send.reference_column, send.ignore, send.encoding)
        known = placeholders(api, send.template)
        if known is not None:
            fit(audience, *known, send.variables)
        request: dict[str, Any] = {"template": send.template}
        if send.variables:
            request["variables"] = send.variables
        if send.reference is not None:
            request["reference"] = send.reference
        results.append((send.audience, send_file(api, audience, request, salt)))
    return results


def _wait(
    api: Client, stack: Stack, results: list[tuple[str, FileResult]], deadline: float
) -> dict[str, dict[str, Any]]:
    """The traced messages by id, once all are final or the deadline has passed."""
    stack.wait_quiet(max(deadline - time.monotonic(), 0.0))
    traced: dict[str, dict[str, Any]] = {}
    open_requests = [request for _, result in results for request in result.requests]
    wanted = {r.message_id for _, result in results for r in result.rows if r.message_id}
    while True:
        still_open = []
        for request in open_requests:
            messages = list(api.pages(f"/v1/requests/{segment(request)}", "messages"))
            traced.update((message["message_id"], message) for message in messages)
            if not messages or not all(message["final"] for message in messages):
                still_open.append(request)
        if (not still_open and wanted <= traced.keys()) or time.monotonic() >= deadline:
            return traced
        # A request whose messages are not all there yet looks final: ask for all again.
        open_requests = still_open or open_requests
        time.sleep(_POLL_SECONDS)


def _compare(
    report: Report, results: list[tuple[str, FileResult]], traced: Mapping[str, dict[str, Any]], expected: Expected
) -> None:
    """Fill in what became of every row and how that differs from what must."""
    left = dict(expected)
    for audience, result in results:
        if result.error is not None:
            report.mismatches.append(f"{audience}: {result.error}")
        for found in result.rows:
            end, reason = _end(found, traced)
            report.recipients += 1
            report.delivered += traced.get(found.message_id, {}).get("status") == "delivered"
            report.ends[end] += 1
            if found.status in {"rejected", "invalid"}:
                report.refused.append(Refused(audience, found))
            wanted = left.pop((audience, found.row), None)
            if wanted is None:
                report.mismatches.append(f"{audience}, row {found.row}: {end}, but it is no recipient")
            elif wanted != (end, reason):
                should = f"{wanted[0]} {wanted[1]}".strip()
                report.mismatches.append(f"{audience}, row {found.row}: {end} {reason}".strip() + f", not {should}")
    for audience, number in left:
        report.mismatches.append(f"{audience}, row {number}: not even read")


def _end(found: RowResult, traced: Mapping[str, dict[str, Any]]) -> tuple[str, str]:
    """The end and its reason of a row: by the trace if it got as far as the API, which must know of rejections too."""
    if found.status == "invalid" or (found.status == "rejected" and not found.message_id):
        return "rejected", found.reason
    if found.status in {"not_queued", "not_sent"}:
        return found.status, found.reason
    message = traced.get(found.message_id)
    if message is None:
        return "not traced", found.status
    if not message["final"]:
        return f"still {message['status']}", ""
    if found.status == "rejected" and message["status"] == "rejected":
        return "rejected", found.reason
    if message["status"] in ARRIVED:
        return "sent", ""
    return str(message["status"]), next((str(e["reason"]) for e in message["timeline"][::-1] if e.get("reason")), "")


class _Books:
    """The counts at one moment."""

    def __init__(self, api: Client, outbox: Outbox) -> None:
        self.balance: dict[str, Any] = api.get("/v1/balance")
        self.delivered = sum(outbox.count(provider) for provider in ONE_EACH)

    def sent(self) -> int:
        return int(self.balance["outcomes"].get("sent", 0))


def _check_books(
    report: Report,
    before: _Books,
    after: _Books,
    traced: Mapping[str, dict[str, Any]],
    results: list[tuple[str, FileResult]],
) -> None:
    """Compare the platform's counters and the providers' outboxes with what the rows say."""
    report.balance = after.balance
    left = {id: m for id, m in traced.items() if m["status"] in ARRIVED | REPORTED}
    one_each = sum(1 for m in left.values() if m["channel"] in {"email", "sms"})
    counts = {
        "accepted in the balance": (
            after.balance["accepted"] - before.balance["accepted"],
            sum(result.count("accepted") for _, result in results),
        ),
        "rejected in the balance": (
            after.balance["rejected"] - before.balance["rejected"],
            sum(1 for _, result in results for r in result.rows if r.status == "rejected" and r.message_id),
        ),
        "sent in the balance": (after.sent() - before.sent(), len(left)),
        "in flight in the balance": (after.balance["in_flight"], 0),
        "emails and texts in the providers' outboxes": (after.delivered - before.delivered, one_each),
    }
    report.mismatches += [
        f"{what}: {found}, not {wanted}" for what, (found, wanted) in counts.items() if found != wanted
    ]


def _one_per_channel(traced: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for message in traced.values():
        # Of each channel one that came to its end, and of what was reported one each.
        kind = message["channel"] if message["status"] in ARRIVED else message["status"]
        if message["status"] in ARRIVED | REPORTED and kind not in seen:
            seen.add(kind)
            yield message


def _show(report: Report, console: Console) -> None:
    console.rule("Rejected rows (the header is row 1)", align="left")
    made = table("file", "row", "column", "reason", "what is wrong")
    for refused in report.refused:
        found = refused.result
        row(made, refused.audience, found.row, found.field or None, found.reason, found.detail)
    console.print(made)
    console.rule("One message per channel, and of what was reported and read (times are UTC)", align="left")
    for message in report.timelines:
        console.print(timeline(message, Reader(zone=UTC)))
        console.print()
    console.rule("Balance", align="left")
    show_balance(console, report.balance)
    console.rule("Ends", align="left")
    ends = ", ".join(f"{count:,} {end}" for end, count in report.ends.most_common())
    console.print(f"{report.recipients:,} recipients: {ends}; {report.delivered:,} are known to be delivered")
    if unknown := sum(1 for refused in report.refused if not refused.result.message_id):
        console.print(
            f"Of the {len(report.refused):,} rejected rows, {len(report.refused) - unknown:,} are in the balance; "
            f"{unknown:,} got no message id: the command found them wrong in the file, or the API named them as the "
            "cause for refusing a whole request, and the rest was sent without them."
        )
    console.print(
        f"accepted within {report.accepted_seconds:.1f} s; accepted, sent and traced within {report.seconds:.1f} s"
    )
    if report.ok:
        console.print("Every recipient came to the expected end.", style="green")
    else:
        console.print(f"{len(report.mismatches)} things are not as expected:", style="red")
        for mismatch in report.mismatches:
            console.print(plain(f"  {mismatch}"))
