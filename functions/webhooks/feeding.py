"""Makes deliveries of the events on the stream, for tenants that have endpoints.

Deliveries are queued first and remembered as queued then, so that a crash between the two queues them again, under the
same ids; the other way round it would lose them. Repeats on the stream, which are normal, are known by what is
remembered: repeats of an event meet in one shard, whose batches come one after the other.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

from aws_lambda_powertools import Logger

from functions.webhooks.events import events_of
from shared.aws.webhooks import DeliveryQueue
from shared.errors import NotQueuedError
from shared.model.clock import Clock
from shared.model.events import EventRow, StreamRecord, read_record
from shared.model.ids import ULID_LENGTH
from shared.model.reasons import Reason
from shared.model.webhooks import Delivery, DeliveryState, KeptDelivery, Webhook, WebhookState, delivery_id
from shared.model.wire import UnreadableError
from shared.model.words import Stage
from shared.policy.veiling import finder
from shared.store.deliveries import Deliveries
from shared.store.kept_events import EventKey, event_key_of
from shared.store.timeline import Timeline
from shared.store.veils import VeilStore
from shared.store.webhooks import WebhookStore

logger = Logger(child=True)

REPORTED = frozenset(
    {
        *(Stage.DELAYED, Stage.DELIVERED, Stage.UNDELIVERED, Stage.OPENED, Stage.CLICKED),
        *(Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.COMPLAINED, Stage.UNSUBSCRIBED, Stage.WITHDRAWN),
    }
)
"""What is told of messages after they were sent."""
CHUNK = 100
"""Deliveries that are queued and remembered together: as many as one request can ask for."""


class Feed:
    """Works on batches of one shard at a time. pool: for chunks side by side."""

    def __init__(
        self,
        webhooks: WebhookStore,
        deliveries: Deliveries,
        timeline: Timeline,
        queue: DeliveryQueue,
        clock: Clock,
        pool: Executor,
        veils: VeilStore,
    ) -> None:
        self._veils = veils
        self._webhooks = webhooks
        self._timeline = timeline
        self._deliveries = deliveries
        self._queue = queue
        self._clock = clock
        self._pool = pool

    def run(self, event: dict[str, Any]) -> None:
        """Work on one Kinesis batch. Raises: what the tables raise, NotQueuedError; then all of it comes back.

        A record that cannot be read is passed over: the trace sets it aside and tells of it.
        """
        made: dict[str, tuple[Webhook, Delivery]] = {}
        for raw in event["Records"]:
            arrived = int(raw["kinesis"]["approximateArrivalTimestamp"] * 1000)
            try:
                record = read_record(base64.b64decode(raw["kinesis"]["data"]))
            except UnreadableError:
                logger.error("record cannot be read", sequence_number=raw["kinesis"]["sequenceNumber"])
                continue
            for endpoint, delivery in self._made(record, arrived):
                made.setdefault(delivery.id, (endpoint, delivery))
        every = list(made.values())
        for _ in self._pool.map(self._take, (every[at : at + CHUNK] for at in range(0, len(every), CHUNK))):
            pass

    def _made(self, record: StreamRecord, arrived: int) -> Iterator[tuple[Webhook, Delivery]]:
        endpoints = self._webhooks.webhooks(record.tenant)
        if not any(record.kind in each.kinds for each in endpoints):
            return
        record.events = list(self._told(record))
        self._name(record)
        for event in events_of(record):
            for endpoint in endpoints:
                if endpoint.wants(event.type, record.kind):
                    id = delivery_id(event.message_id, event.stage, str(event.nth), endpoint.id)
                    yield (
                        endpoint,
                        Delivery(
                            tenant=record.tenant,
                            endpoint=endpoint.id,
                            id=id,
                            type=event.type,
                            at=arrived,
                            body=event.body,
                            since=self._clock.now_ms(),
                        ),
                    )

    def _told(self, record: StreamRecord) -> Iterator[EventRow]:
        """The rows of those who are not erased: of the others nothing is told any more."""
        find = finder(self._veils.of(record.tenant, record.envelope), record.envelope[:ULID_LENGTH])
        for row in record.events:
            if row.reason != Reason.ERASED and find(row.tag) is None:
                yield row

    def _name(self, record: StreamRecord) -> None:
        """Have rows say whom they are about that do not: what a receipt tells may know the message's id alone.

        That it was sent is in the timeline by then, but for a moment; without it the event says less.
        """
        rows: dict[EventKey, list[EventRow]] = defaultdict(list)
        for id, row in record.message_ids():
            if row.masked_address is None and row.stage in REPORTED:
                rows[event_key_of(record.tenant, id, Stage.SENT)].append(row)
        for key, sent in self._timeline.read(list(rows)).items() if rows else ():
            accepted = sent.accepted or sent
            for row in rows[key]:
                row.masked_address = sent.masked_address or accepted.masked_address
                row.reference = sent.reference or accepted.reference

    def _take(self, made: Iterable[tuple[Webhook, Delivery]]) -> None:
        """Queue what was not queued before, or keep it for an endpoint that is not active."""
        found = {delivery.id: (endpoint, delivery) for endpoint, delivery in made}
        known = self._deliveries.queued(list(found))
        new = [each for id, each in found.items() if id not in known]
        active = [delivery for endpoint, delivery in new if endpoint.state is WebhookState.ACTIVE]
        held = [delivery for endpoint, delivery in new if endpoint.state is not WebhookState.ACTIVE]
        self._deliveries.keep(KeptDelivery(state=DeliveryState.HELD, delivery=each) for each in held)
        if self._queue.send(active, self._clock.now_ms()):
            raise NotQueuedError("deliveries not queued")
        self._deliveries.note_queued(delivery.id for _, delivery in new)
