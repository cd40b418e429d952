"""Plays the event source mappings of queues: receives, invokes, and deletes what the function dealt with.

After the Lambda developer guide, "Using Lambda with Amazon SQS" and "Handling errors for an SQS event source".
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import REGION, QueueMapping
from local.logs import SINK
from local.sources import MOTO, Sources

Invoke = Callable[[str, Any], Any]
"""Invokes a function by its logical name."""

MAX_WORKERS = 4
"""Invocations at a time per mapping: more would only take turns on one interpreter."""
MAX_RECEIVE = 10
"""Messages per ReceiveMessage and DeleteMessageBatch (SQS API reference)."""
WINDOW_SHARE = 0.25
"""So much of a mapping's window is waited for: it saves requests that cost nothing here, and people look at what comes
of it. Two windows follow one another from a receipt to the timeline."""
_IDLE_WAIT_S = 60.0


class Poller(ABC):
    """Follows one source. Either `start` it, or call `step` until it returns False.

    begun: how often it looked for work.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy = 0
        self.begun = 0
        self._busy_changed = threading.Condition()

    @abstractmethod
    def step(self) -> bool:
        """Do what is due now, in this thread; False if there was nothing."""

    @abstractmethod
    def due_ms(self) -> float | None:
        """When there will next be something to do, in milliseconds since the epoch; None if nothing is left at all."""

    @abstractmethod
    def _run(self) -> None:
        """What the thread does until `_stopping` is set."""

    @property
    def busy(self) -> bool:
        """Whether something is being worked on."""
        return self._busy > 0

    def start(self) -> None:
        """Follow the source in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look again: there may be something."""
        self._awake.set()

    def request_stop(self) -> None:
        """Begin no new work."""
        self._stopping.set()
        self._awake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the work in hand, waiting up to `timeout` seconds for it."""
        self.request_stop()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    def _work_begins(self) -> None:
        with self._busy_changed:
            self._busy += 1
            self.begun += 1

    def _work_ends(self) -> None:
        with self._busy_changed:
            self._busy -= 1
            self._busy_changed.notify_all()


def failed_identifiers(answer: Any, known: Sequence[str]) -> set[str] | None:
    """What a function reported by `batchItemFailures`; None if the whole batch counts as failed.

    An answer that is empty, or whose list is, means that all went well; an identifier that is missing, empty or
    unknown means that nothing did.
    """
    if answer is None:
        return set()
    if not isinstance(answer, dict):
        return None
    failures = answer.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return None
    identifiers = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in failures]
    return {str(each) for each in identifiers} if all(each in known for each in identifiers) else None


class _Slots:
    """Places for functions at work; how many there are may change meanwhile."""

    def __init__(self, most: int) -> None:
        self._changed = threading.Condition()
        self._free = min(most, MAX_WORKERS)
        self._most = self._free

    def limit(self, most: int) -> None:
        with self._changed:
            self._free += min(most, MAX_WORKERS) - self._most
            self._most = min(most, MAX_WORKERS)
            self._changed.notify_all()

    def acquire(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0)
            self._free -= 1

    def release(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class QueuePoller(Poller):
    """Follows one queue for one function."""

    def __init__(
        self,
        mapping: QueueMapping,
        invoke: Invoke,
        client: Any,
        counter: RequestCounter,
        clock: LocalClock,
        sources: Sources = MOTO,
    ) -> None:
        super().__init__(f"poll-{mapping.queue_arn.rpartition(':')[2]}")
        self.mapping = mapping
        self._invoke = invoke
        self._client = client
        self._counter = counter
        self._clock = clock
        self._sources = sources
        self._slots = _Slots(mapping.max_concurrency or MAX_WORKERS)
        self._executor = ThreadPoolExecutor(MAX_WORKERS, f"{self._name}-worker")

    def limit(self, concurrency: int) -> None:
        """Have at most so many functions work on the queue from now on."""
        self._slots.limit(concurrency)

    def step(self) -> bool:
        due = self.due_ms()
        if due is None or due > self._clock.now_ms():
            return False
        self._work_begins()
        try:
            batch = self._gather(wait=False)
            if batch:
                self._work(batch)
            return bool(batch)
        finally:
            self._work_ends()

    def due_ms(self) -> float | None:
        # Asking SQS would tell how many there are, but not when they are due.
        return self._sources.queue_due_ms(self.mapping.queue_url)

    def request_stop(self) -> None:
        super().request_stop()
        self._slots.release()  # for the thread that waits for one

    def stop(self, timeout: float = 5.0) -> None:
        super().stop(timeout)
        with self._busy_changed:
            self._busy_changed.wait_for(lambda: self._busy == 0, timeout)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while True:
            self._slots.acquire()
            if self._stopping.is_set():
                return
            self._awake.clear()
            self._work_begins()
            try:
                batch = self._gather(wait=True)
            except Exception:  # of any kind: the poller goes on, as a real one does
                SINK.failure(self._name)
                batch = []
            if batch and not self._stopping.is_set():
                self._executor.submit(self._work_in_slot, batch)
                continue
            self._work_ends()
            self._slots.release()
            self._sleep()

    def _sleep(self) -> None:
        """Wait for a wake-up, or until a delayed or hidden message is due."""
        due = self.due_ms()
        seconds = _IDLE_WAIT_S if due is None else min(max(due / 1000 - self._clock.now(), 0.001), _IDLE_WAIT_S)
        self._awake.wait(seconds)

    def _work_in_slot(self, batch: list[dict[str, Any]]) -> None:
        try:
            self._work(batch)
        except Exception:  # of any kind: the pool would swallow it
            SINK.failure(self._name)
        finally:
            self._work_ends()
            self._slots.release()

    def _gather(self, *, wait: bool) -> list[dict[str, Any]]:
        """Receive a batch; with a window, go on until it is full, or (`wait`) the window is over."""
        size, window = self.mapping.batch_size, self.mapping.window_s * WINDOW_SHARE
        batch = self._receive(size)
        until = time.monotonic() + window
        while batch and window and len(batch) < size:
            self._awake.clear()
            more = self._receive(size - len(batch))
            batch += more
            left = until - time.monotonic()
            if not more and (not wait or left <= 0 or self._stopping.is_set()):
                break
            if not more:
                self._awake.wait(left)
        return batch

    def _receive(self, most: int) -> list[dict[str, Any]]:
        answer = self._client.receive_message(
            QueueUrl=self.mapping.queue_url,
            MaxNumberOfMessages=min(most, MAX_RECEIVE),
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        if found:
            # Empty receives are part of an idle queue's price, not of a message's.
            self._counter.mapping("sqs.ReceiveMessage")
        return found

    def _work(self, batch: list[dict[str, Any]]) -> None:
        """Invoke the function and delete what it dealt with; the rest shows again when its visibility ends."""
        identifiers = [message["MessageId"] for message in batch]
        try:
            answer = self._invoke(self.mapping.function, {"Records": [self._record(message) for message in batch]})
        except Exception:  # a function may raise anything
            SINK.failure(self.mapping.function)
            return
        failed = failed_identifiers(answer, identifiers) if self.mapping.partial else set()
        if failed is None:
            return
        self._delete([message for message in batch if message["MessageId"] not in failed])

    def _delete(self, messages: Sequence[dict[str, Any]]) -> None:
        for i in range(0, len(messages), MAX_RECEIVE):
            entries = [
                {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                for n, message in enumerate(messages[i : i + MAX_RECEIVE])
            ]
            self._client.delete_message_batch(QueueUrl=self.mapping.queue_url, Entries=entries)
            self._counter.mapping("sqs.DeleteMessageBatch")

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message as a function sees it."""
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": dict(message.get("Attributes", {})),
            "messageAttributes": {
                name: {
                    "dataType": value["DataType"],
                    "stringListValues": [],
                    "binaryListValues": [],
                    **({"stringValue": value["StringValue"]} if "StringValue" in value else {}),
                }
                for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.mapping.queue_arn,
            "awsRegion": REGION,
        }
