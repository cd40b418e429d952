"""The queue by which erasures go on."""

from typing import Any

from shared.aws.queue import MAX_DELAY_S, send_batch
from shared.errors import NotQueuedError
from shared.model.erasures import ErasureTask


class ErasureQueue:
    """Puts tasks on the queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, task: ErasureTask, delay_s: float = 0) -> None:
        """Queue a task, for now or in up to 15 minutes (a longer delay is cut). Raises: NotQueuedError."""
        delay = min(MAX_DELAY_S, max(0, round(delay_s)))
        entry = {"MessageBody": task.model_dump_json()} | ({"DelaySeconds": delay} if delay else {})
        if send_batch(self._client, self._url, [("0", entry)]):
            raise NotQueuedError("the erasure's task is not queued")
