"""Sends envelopes to their queues: now, delayed by SQS up to 15 minutes, later by a one-shot schedule."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.aws.errors import AWS_ERRORS
from shared.aws.schedules import MAX_INPUT_BYTES, Schedules, schedule_input
from shared.base.channels import queue_name
from shared.model.clock import Clock
from shared.model.envelope import Envelope, group_id
from shared.model.sizes import size

logger = Logger(child=True)

MAX_DELAY_S = 900
"""The longest DelaySeconds (SQS API reference, SendMessage)."""
MAX_ENTRIES = 10
MAX_MESSAGE_BYTES = 1_048_576
MAX_BATCH_BYTES = 1_048_576
"""Ten entries and 1 MiB per message, and per SendMessageBatch (SQS API reference). Groups and delays do not count."""
TRIES = 3


class Dispatch(Struct, frozen=True):
    """An envelope on its way to its queue."""

    envelope: Envelope
    body: str
    due_at: int | None = None
    """Milliseconds since the epoch; None for now."""


class Queues:
    """The nine queues of channel and class."""

    def __init__(self, client: Any, urls: Mapping[str, str], schedules: Schedules, clock: Clock) -> None:
        self._client = client
        self._urls = urls
        self._schedules = schedules
        self._clock = clock

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]:
        """Send envelopes to the queue of their channel and class, or schedule them.

        Returns the ids of the envelopes that could not be sent after several tries; all others are held by SQS or by
        a schedule. Sending the same envelope again is harmless: whoever receives it knows it by its id.
        """
        failed = self.too_large(dispatches)
        by_queue: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for dispatch in dispatches:
            envelope, delay_s = dispatch.envelope, self._delay_s(dispatch)
            if envelope.id in failed:
                continue
            url, group = self._url(envelope), group_id(envelope.tenant, envelope.run)
            if delay_s > MAX_DELAY_S and dispatch.due_at is not None:
                if not self._schedules.create(envelope.id, dispatch.due_at, url, dispatch.body, group):
                    failed.add(envelope.id)
                continue
            entry: dict[str, Any] = {"MessageBody": dispatch.body, "MessageGroupId": group}
            if delay_s:
                entry["DelaySeconds"] = delay_s
            by_queue[url].append((envelope.id, entry))
        for url, entries in by_queue.items():
            for batch in _batches(entries):
                failed |= send_batch(self._client, url, batch)
        return failed

    def put_back(self, name: str, tenant: str, text: str) -> None:
        """Put a message on a queue as it was, whatever it holds. Raises: what the client raises."""
        self._client.send_message(QueueUrl=self._urls[name], MessageBody=text, MessageGroupId=group_id(tenant, None))

    def too_large(self, dispatches: Sequence[Dispatch]) -> set[str]:
        """The ids of envelopes that no queue, or no schedule, will ever take: sending them again is of no use."""
        return {d.envelope.id for d in dispatches if not self._fits(d)}

    def _fits(self, dispatch: Dispatch) -> bool:
        if self._delay_s(dispatch) <= MAX_DELAY_S:
            return size(dispatch.body) <= MAX_MESSAGE_BYTES
        envelope = dispatch.envelope
        asked = schedule_input(self._url(envelope), dispatch.body, group_id(envelope.tenant, envelope.run))
        return size(asked) <= MAX_INPUT_BYTES

    def _delay_s(self, dispatch: Dispatch) -> int:
        return 0 if dispatch.due_at is None else max(0, -(-(dispatch.due_at - self._clock.now_ms()) // 1000))

    def _url(self, envelope: Envelope) -> str:
        return self._urls[queue_name(envelope.channel, envelope.message_class)]


def send_batch(client: Any, url: str, batch: Sequence[tuple[str, dict[str, Any]]]) -> set[str]:
    """Send up to ten (id, entry) pairs to one queue; returns the ids that could not be sent.

    A batch answers 200 with some entries failed (SQS API reference, SendMessageBatch): those are tried again.
    """
    left = dict(enumerate(batch))
    for _ in range(TRIES):
        entries = [{"Id": str(i), **entry} for i, (_, entry) in left.items()]
        try:
            answer = client.send_message_batch(QueueUrl=url, Entries=entries)
        except AWS_ERRORS as error:
            logger.warning("queue refused a batch", error=type(error).__name__)
            continue
        for result in answer.get("Successful", ()):
            del left[int(result["Id"])]
        if not left:
            return set()
        logger.warning("queue took a batch in part", codes=sorted({f["Code"] for f in answer.get("Failed", ())}))
    return {name for name, _ in left.values()}


def _batches(entries: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    batch: list[tuple[str, dict[str, Any]]] = []
    taken = 0
    for pair in entries:
        length = size(pair[1]["MessageBody"])
        if batch and (len(batch) == MAX_ENTRIES or taken + length > MAX_BATCH_BYTES):
            yield batch
            batch, taken = [], 0
        batch.append(pair)
        taken += length
    if batch:
        yield batch


class DeadLetters:
    """The dead-letter queues of one function."""

    def __init__(self, client: Any, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = urls

    def send(self, envelopes: Sequence[Envelope]) -> set[str]:
        """Send envelopes of given-up recipients, with their reasons; returns the ids that could not be sent."""
        by_queue: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for envelope in envelopes:
            name = queue_name(envelope.channel, envelope.message_class)
            entry = {"MessageBody": envelope.to_json(), "MessageGroupId": group_id(envelope.tenant, envelope.run)}
            by_queue[self._urls[name]].append((envelope.id, entry))
        failed: set[str] = set()
        for url, entries in by_queue.items():
            for batch in _batches(entries):
                failed |= send_batch(self._client, url, batch)
        return failed


class Depth(Struct, frozen=True):
    """How many messages a queue holds, about: waiting to be received, hidden while they are worked on, delayed."""

    waiting: int
    hidden: int
    delayed: int


def depth_of(client: Any, url: str) -> Depth:
    """How full a queue is; approximate by a minute or so (SQS API reference, GetQueueAttributes)."""
    names = [f"ApproximateNumberOfMessages{part}" for part in ("", "NotVisible", "Delayed")]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return Depth(*(int(found.get(name, 0)) for name in names))
