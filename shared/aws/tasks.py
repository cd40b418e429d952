"""The queue by which the campaign function is told what to do."""

from collections.abc import Sequence
from typing import Any

from shared.aws.queue import MAX_DELAY_S, send_batch
from shared.errors import UnavailableError
from shared.model.tasks import Task

MAX_ENTRIES = 10


class TaskError(UnavailableError):
    """Tasks could not be queued after several tries."""


class Tasks:
    """Queues tasks."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, tasks: Sequence[Task], delay_s: float = 0) -> None:
        """Queue tasks, for now or in up to 15 minutes (a longer delay is cut). Raises: TaskError."""
        delay = min(MAX_DELAY_S, max(0, round(delay_s)))
        entries = [
            (str(i), {"MessageBody": task.model_dump_json()} | ({"DelaySeconds": delay} if delay else {}))
            for i, task in enumerate(tasks)
        ]
        for start in range(0, len(entries), MAX_ENTRIES):
            if failed := send_batch(self._client, self._url, entries[start : start + MAX_ENTRIES]):
                raise TaskError(f"{len(failed)} tasks not queued")

    def put_back(self, receipt: str, delay_s: int) -> None:
        """Have a received task come again in so many seconds, at most 12 hours. Raises: what the client raises."""
        self._client.change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=delay_s)
