"""The queue of receipts: what arrives from providers, and what waits for its message to be known."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.aws.queue import MAX_DELAY_S, MAX_ENTRIES, send_batch
from shared.errors import NotQueuedError
from shared.model.receipts import Arrived, CardChange, Converted, Look, Receipt, Waiting, as_json

MOST_TOGETHER = 200
"""Receipts that wait in one message: of the longest that there may be, they fit into it."""


class ReceiptQueue:
    """Puts receipts on the queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, arrived: Arrived) -> None:
        """Queue what a provider said. Raises: NotQueuedError."""
        self._send([{"MessageBody": as_json(arrived)}])

    def put_all(self, arrived: Sequence[Arrived]) -> None:
        """Queue many that are small, ten in a request. Raises: NotQueuedError; then some may be on the queue."""
        for start in range(0, len(arrived), MAX_ENTRIES):
            some = arrived[start : start + MAX_ENTRIES]
            entries = [(str(i), {"MessageBody": as_json(each)}) for i, each in enumerate(some)]
            if send_batch(self._client, self._url, entries):
                raise NotQueuedError("receipts not queued")

    def wait(self, waiting: Waiting, delay_s: int) -> None:
        """Have receipts come again in so many seconds, at most 900. Raises: NotQueuedError."""
        pieces = [Waiting(since=waiting.since, tries=waiting.tries, waiting=some) for some in _cut(waiting.waiting)]
        self._send([{"MessageBody": as_json(piece), "DelaySeconds": delay_s} for piece in pieces])

    def look(self, look: Look, now: int) -> None:
        """Have the time of an envelope's messages looked at when it is over, or in 15 minutes to wait on.

        now: in milliseconds since the epoch. Raises: NotQueuedError.
        """
        delay_s = min(MAX_DELAY_S, max(0, -(-(look.due_at - now) // 1000)))
        self._send([{"MessageBody": as_json(look), **({"DelaySeconds": delay_s} if delay_s else {})}])

    def change(self, change: CardChange, delay_s: int = 0) -> None:
        """Have a card changed, in so many seconds, at most 900. Raises: NotQueuedError."""
        self._send([{"MessageBody": as_json(change), **({"DelaySeconds": delay_s} if delay_s else {})}])

    def convert(self, converted: Sequence[Converted], delay_s: int = 0) -> None:
        """Have providers told of codes that were given back, in at most 900 seconds. Raises: NotQueuedError."""
        for start in range(0, len(converted), MAX_ENTRIES):
            more = {"DelaySeconds": delay_s} if delay_s else {}
            some = converted[start : start + MAX_ENTRIES]
            entries = [(str(i), {"MessageBody": as_json(each), **more}) for i, each in enumerate(some)]
            if send_batch(self._client, self._url, entries):
                raise NotQueuedError("reports not queued")

    def _send(self, entries: list[dict[str, Any]]) -> None:
        # One by one in a batch would do, but each may be as large as a batch.
        for i, entry in enumerate(entries):
            if send_batch(self._client, self._url, [(str(i), entry)]):
                raise NotQueuedError("receipts not queued")


def _cut(receipts: list[Receipt]) -> Iterator[list[Receipt]]:
    for start in range(0, len(receipts), MOST_TOGETHER):
        yield receipts[start : start + MOST_TOGETHER]
