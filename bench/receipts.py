"""What receipts cost: a campaign by SES with a delivery receipt for each message, against the same one without.

EventBridge puts each event on the queue by itself: a request that is paid for and that nobody here makes. It and what
the event source mapping receives and deletes are in the dollars; the requests that are counted are those of functions.
"""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.campaign import DISPATCH_GB, MEMORY_SHARE, ROWS, Facts, measured
from bench.figures import Figure, cpu_medians
from bench.sample import envelopes
from functions.receipts.cards import Cards
from functions.receipts.converting import Converting
from functions.receipts.falling import Falling
from functions.receipts.listing import Listing
from functions.receipts.matching import Matcher
from functions.receipts.receiving import Receiver
from functions.receipts.soft_bounces import SoftBounces
from shared.model.clock import SystemClock
from shared.model.events import EventRow, StreamRecord, record_of
from shared.model.ids import Numbering
from shared.store.catalog import Catalog
from shared.store.dynamo import Item
from shared.store.kept_events import event_item, event_key
from shared.store.suppressions import Suppressions
from shared.store.timeline import Timeline

BATCH = 100
MAPPING = ("sqs.ReceiveMessage", "sqs.DeleteMessageBatch")
"""Requests that Lambda makes for the queue: of ten messages at most."""
BUS = "sqs.SendMessage"
"""What EventBridge does with each event. Functions send in batches alone."""


class _Nobody:
    """A stream and a queue that take everything."""

    def put(self, records: list[StreamRecord]) -> None:
        for record in records:
            record.to_json()

    def wait(self, waiting: Any, delay_s: int) -> None:
        if waiting.waiting:
            raise RuntimeError("a receipt found no message")


class _Table:
    """A timeline that has every message's event, as botocore gives it."""

    def __init__(self, items: dict[str, Item]) -> None:
        self._items = items

    def batch_get_item(self, RequestItems: Any) -> Any:
        [(table, asked)] = RequestItems.items()
        return {"Responses": {table: [self._items[key["sk"]["S"]] for key in asked["Keys"]]}}


def _sent(count: int) -> dict[str, Item]:
    """The events that messages were sent, by sort key."""
    found: dict[str, Item] = {}
    for envelope in envelopes(count // BATCH, BATCH):
        number = Numbering(envelope.root)
        for each in envelope.recipients:
            row = EventRow(index=each.index, tag=each.tag, stage="sent", nth=0, at=0, account="mail", provider="ses")
            row.provider_id, row.took_ms = "0100" + "x" * 50, 42
            key = event_key("default", number(each.index) + each.tag, row)
            found[key[1]] = event_item(key, record_of(envelope, [row]), row, 0)
    return found


def _event(sort_key: str) -> str:
    """A delivery as EventBridge has it, of about the size that Amazon SES publishes."""
    message_id = sort_key.partition("#")[0]
    mail = {
        "timestamp": "2026-11-30T09:00:00.000Z",
        "source": "Blue Whale <shop@example.com>",
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/example.com",
        "sendingAccountId": "123456789012",
        "messageId": "0100" + "x" * 50,
        "destination": ["somebody@example.com"],
        "headersTruncated": False,
        "headers": [{"name": f"Header-{i}", "value": "v" * 40} for i in range(10)],
        "commonHeaders": {"from": ["shop@example.com"], "to": ["somebody@example.com"], "subject": "Sale"},
        "tags": {
            "mepush_message_id": [message_id],
            "mepush_origin": ["default_mail-ses_spring-sale_1_m_l_spring_01KAV2M3X80000000000000000_all"],
            "mepush_deployment": ["mepush"],
            "ses:operation": ["SendBulkEmail"],
        },
    }
    delivery = {
        "timestamp": "2026-11-30T09:00:01.000Z",
        "processingTimeMillis": 546,
        "recipients": ["somebody@example.com"],
        "smtpResponse": "250 2.6.0 Message received",
        "remoteMtaIp": "127.0.2.0",
        "reportingMTA": "mta.example.com",
    }
    detail = {"eventType": "Delivery", "mail": mail, "delivery": delivery}
    return json.dumps({"version": "0", "id": "x" * 36, "source": "aws.ses", "detail": detail})


def _receipt_us() -> float:
    """Processor time of `functions/receipts` per receipt, botocore left out: its requests are ten in a thousand."""
    items = _sent(2000)
    records = [{"messageId": str(i), "body": _event(key)} for i, key in enumerate(items)]
    clock, client, nobody = SystemClock(), _Table(items), _Nobody()
    timeline = Timeline(client, "timeline")
    matcher = Matcher(timeline, Catalog(client, "catalog", clock))  # type: ignore[arg-type]  # a table that answers what is asked here
    listing = Listing(Suppressions(client, "catalog", clock), SoftBounces(timeline))  # type: ignore[arg-type]  # it is asked for nothing
    falling = Falling(nobody, nobody, nobody, nobody, clock, nobody)  # type: ignore[arg-type]  # none of these may fall back
    cards = Cards(nobody, nobody, nobody)  # type: ignore[arg-type]  # none is a card
    converting = Converting(nobody, nobody, nobody)  # type: ignore[arg-type]  # none is a code
    receiver = Receiver(matcher, listing, falling, cards, converting, nobody, nobody, clock)  # type: ignore[arg-type]  # they take everything

    def work() -> int:
        for start in range(0, len(records), BATCH):
            if receiver.run({"Records": records[start : start + BATCH]}).failed:
                raise RuntimeError("a receipt cannot be read")
        return len(records)

    return cpu_medians([work])[0]


def run() -> list[Figure]:
    """aws_requests_per_1000_receipts, usd_per_million_with_receipts, receipt_cpu."""
    without, with_them, cpu = measured("mail-ses"), measured("mail-ses", receipts=True), _receipt_us()
    names = {*without.by_name, *with_them.by_name}
    more = {name: with_them.by_name.get(name, 0) - without.by_name.get(name, 0) for name in sorted(names)}
    own = sum(count for name, count in more.items() if name not in (*MAPPING, BUS))
    _show(more, without, with_them)
    gb_seconds = ROWS * (cpu + with_them.trace_us / 2) / 1e6 / MEMORY_SHARE * DISPATCH_GB
    usd = with_them.usd_per_million + gb_seconds / ROWS * 1e6 * 1.33334e-5
    return [
        Figure("aws_requests_per_1000_receipts", own, "AWS requests", most=150),
        Figure("usd_per_million_with_receipts", usd, "US dollars", most=2.2),
        Figure("receipt_cpu", cpu, "µs CPU per receipt", most=400),
    ]


def _show(more: dict[str, float], without: Facts, with_them: Facts) -> None:
    requests = Table("request", "more per 1,000 receipts", "made by")
    for name, count in more.items():
        if round(count, 1):
            by = "Lambda's mapping" if name in MAPPING else "EventBridge" if name == BUS else "functions"
            requests.add_row(name, f"{count:.1f}", by)
    bill = Table("for a million emails", "without", "with receipts", "US dollars more")
    for before, after in zip(without.lines, with_them.lines, strict=True):
        scaled = [value / ROWS * 1e6 for value in (before.quantity, after.quantity, after.usd - before.usd)]
        bill.add_row(before.name, f"{scaled[0]:,.2f}", f"{scaled[1]:,.2f}", f"{scaled[2]:.4f}")
    console = Console(width=120)
    console.print(requests)
    console.print(bill)
