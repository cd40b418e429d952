"""The queue of webhooks' deliveries, and the bus on which a tenant may have events put instead."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from shared.aws.errors import AWS_ERRORS
from shared.aws.queue import MAX_DELAY_S, send_batch
from shared.errors import UnavailableError
from shared.model.webhooks import Delivery

SOURCE = "mepush"
DETAIL_TYPE = "mePush message"
MAX_TOGETHER = 10
"""Of one request; each has at most some 25 KB, and a request a megabyte (SQS API reference, SendMessageBatch)."""


class NotPutError(UnavailableError):
    """The bus did not take an event."""


class DeliveryQueue:
    """Puts deliveries on their queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, deliveries: Sequence[Delivery], now_ms: int) -> set[str]:
        """Queue deliveries (any number), until they are due or as long as the queue delays.

        Returns the ids of those that could not be queued after several tries.
        """
        failed: set[str] = set()
        for batch in _batches(deliveries):
            failed |= send_batch(self._client, self._url, [(each.id, _entry(each, now_ms)) for each in batch])
        return failed


class EventBus:
    """Puts events on the deployment's bus."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def put(self, delivery: Delivery) -> None:
        """Put an event: its body, with its id. Raises: NotPutError."""
        detail = json.dumps({"id": delivery.id, **json.loads(delivery.body)}, ensure_ascii=False)
        entry = {"EventBusName": self._name, "Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail}
        try:
            answer = self._client.put_events(Entries=[entry])
        except AWS_ERRORS as error:
            raise NotPutError(type(error).__name__) from None
        if answer["FailedEntryCount"]:
            raise NotPutError(answer["Entries"][0].get("ErrorCode", ""))


def _entry(delivery: Delivery, now_ms: int) -> dict[str, Any]:
    # Fair queues: an endpoint for which much waits does not hold up the others (SQS developer guide, "Fair queues").
    entry: dict[str, Any] = {
        "MessageBody": delivery.to_json(),
        "MessageGroupId": f"{delivery.tenant}/{delivery.endpoint}"[:128],
    }
    if delivery.due_at is not None and delivery.due_at > now_ms:
        entry["DelaySeconds"] = min(MAX_DELAY_S, -(-(delivery.due_at - now_ms) // 1000))
    return entry


def _batches(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    for start in range(0, len(deliveries), MAX_TOGETHER):
        yield deliveries[start : start + MAX_TOGETHER]
