"""Receipts over real tables, with a queue and a stream that are looked at."""

import json
from collections import Counter
from typing import Any

from functions.receipts.deps import receiver_of
from functions.receipts.function import ReceiptsSettings
from functions.receipts.receiving import Received
from shared.aws.queue import Dispatch
from shared.model.envelope import Envelope
from shared.model.events import StreamRecord, accepted_rows, record_of
from shared.model.receipts import Look, Receipt, Waiting, as_json
from shared.model.suppression import SuppressionReason
from shared.model.words import Channel, Stage
from shared.store.suppressions import Suppressions
from shared.wiring.accounts import AccountParts
from tests.conftest import Aws
from tests.fakes import FakeClock
from tests.integration.functions.trace.test_aggregate import TraceHarness, rows
from tests.samples import TENANT, envelope

SETTINGS = ReceiptsSettings(
    catalog_table="catalog",
    counters_table="counters",
    timeline_table="timeline",
    stream_name="events",
    receipts_url="https://sqs/receipts",
    guard_table="guard",
    secret_prefix="test",
    queue_urls="{}",
    schedule_group="",
    schedule_role_arn="",
    schedule_dlq_arn="",
)
"""Of a function over tables in memory."""


class Queue:
    """Holds what waits."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Waiting, int]] = []
        self.looks: list[tuple[Look, int]] = []
        self.broken = False

    def wait(self, waiting: Waiting, delay_s: int) -> None:
        if self.broken:
            raise OSError("the queue does not answer")
        if waiting.waiting:
            self.waiting.append((waiting, delay_s))

    def look(self, look: Look, now: int) -> None:
        self.looks.append((look, max(0, look.due_at - now)))


class Queues:
    """Holds envelopes that take the place of others. broken: takes none."""

    def __init__(self) -> None:
        self.sent: dict[str, Envelope] = {}
        self.broken = False

    def send(self, dispatches: list[Dispatch]) -> set[str]:
        if self.broken:
            return {each.envelope.id for each in dispatches}
        for each in dispatches:
            assert self.sent.setdefault(each.envelope.id, each.envelope) == each.envelope
        return set()


class Stream:
    """Holds what was told."""

    def __init__(self) -> None:
        self.records: list[StreamRecord] = []

    def put(self, records: list[StreamRecord]) -> None:
        self.records += records


class ReceiptsHarness:
    """The receiver, and the trace behind it."""

    def __init__(self, aws: Aws, clock: FakeClock) -> None:
        self.trace = TraceHarness(aws, clock)
        self.clock, self.aws = clock, aws
        # After all that receipts of these tests tell.
        clock.advance(600)
        self.queue, self.stream, self.queues = Queue(), Stream(), Queues()
        self.tenant = self.trace.catalog.ensure_tenant("default")
        self._sequence = 10**55
        self._told = 0

    def receiver(self, client: Any = None) -> Any:
        """A new one, as of a new process. client: of the tables."""
        return receiver_of(
            AccountParts(
                SETTINGS,
                client=lambda service: client or self.aws.dynamodb,
                clock=self.clock,
                receipt_queue=self.queue,
                stream=self.stream,
                queues=self.queues,
            )
        )

    def sent(self, count: int = 1, channel: Channel = Channel.EMAIL, **changes: Any) -> Envelope:
        """Messages that were accepted and sent, as the trace knows them."""
        one = envelope(count, channel, **changes)
        provider, account = {"email": ("ses", "mail"), "sms": ("aws", "sms")}[channel.value]
        via: Any = {"account": account, "provider": provider, "provider_id": "p-1"}
        self.tell(record_of(one, accepted_rows(one) + rows(one, "sent", **via)))
        return one

    def tell(self, *records: StreamRecord) -> None:
        """Have the trace take records."""
        numbered = [(self._sequence + i, record) for i, record in enumerate(records, 1)]
        self._sequence += len(records)
        self.trace.aggregate(numbered)

    def tell_all(self) -> None:
        """Have the trace take what was put on the stream since."""
        new, self._told = self.stream.records[self._told :], len(self.stream.records)
        if new:
            self.tell(*new)

    def receive(self, *receipts: Receipt, receiver: Any = None, tries: int = 0) -> Received:
        """Receipts that came just now, as one message of the queue. tries: how often they were looked at before."""
        waiting = Waiting(since=self.clock.now_ms(), tries=tries, waiting=list(receipts))
        return self.receive_bodies(as_json(waiting), receiver=receiver)

    def receive_bodies(self, *bodies: str, receiver: Any = None) -> Received:
        """Messages of the queue, as one batch."""
        records = [{"messageId": str(i), "body": body} for i, body in enumerate(bodies)]
        found: Received = (receiver or self.receiver()).run({"Records": records})
        return found

    def stages(self, message_id: str) -> list[str]:
        """What the timeline has of a message, by time."""
        events = self.trace.parts().timeline.events("default", message_id)
        return [each.stage for each in sorted(events, key=lambda each: (each.at, each.nth))]

    def listed(self, channel: Channel = Channel.EMAIL) -> dict[str, list[SuppressionReason]]:
        """Who is on the suppression list, by address."""
        store = Suppressions(self.aws.dynamodb, "catalog", self.clock)
        page = store.page("default", [channel], lambda _: True, 100)
        return {each.address: [entry.reason for entry in each.entries] for each in page.items}

    def counts(self) -> Counter[str]:
        """The tenant's."""
        return self.trace.counters()


def ids(one: Envelope) -> list[str]:
    """The ids of an envelope's messages."""
    return [id for id, _ in record_of(one, accepted_rows(one)).message_ids()]


def receipt(message_id: str | None = None, stage: Stage = Stage.DELIVERED, **more: Any) -> Receipt:
    """A receipt of SES that names a message."""
    given: dict[str, Any] = {"provider": "ses", "at": 1_736_935_260_000, "tenant": TENANT.id}
    return Receipt(stage=stage, message_id=message_id, **given | more)


def ses_event(message_id: str, kind: str = "Delivery", **facts: Any) -> str:
    """An event of SES as EventBridge puts it on the queue."""
    detail = {
        "eventType": kind,
        kind.lower(): {"timestamp": "2025-01-15T10:01:00.000Z", **facts},
        "mail": {
            "messageId": "p-1",
            "destination": ["u0@example.com"],
            "tags": {"mepush_message_id": [message_id]},
        },
    }
    return json.dumps({"source": "aws.ses", "detail-type": f"Email {kind}", "detail": detail})
