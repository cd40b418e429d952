"""Schedules that did not fire, and those that could not deliver: their messages are put on their queues."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import Any

from aws_lambda_powertools import Logger

from functions.watch.work import Done
from shared.aws.schedules import DueSchedules, message_of
from shared.model.clock import Clock

logger = Logger(child=True)

OVERDUE_MS = 600_000
"""A schedule fires within its minute, and then deletes itself."""
BATCH = 100
UNREADABLE = "schedule_unreadable"


class OverdueSchedules:
    """Delivers what schedules hold. urls: of the queues that schedules may send to. pool: for several at a time.

    Each is sent before it is deleted. What is sent twice so is dispatched once, since the ledger knows the envelope.
    """

    def __init__(
        self, due: DueSchedules, sqs: Any, urls: Collection[str], dlq_url: str, clock: Clock, pool: Executor
    ) -> None:
        self._due = due
        self._sqs = sqs
        self._urls = frozenset(urls)
        self._dlq_url = dlq_url
        self._clock = clock
        self._pool = pool

    def fire(self, time_left: Callable[[], bool]) -> Done:
        """Send what overdue schedules hold, and delete them."""
        done = Done()
        names = self._due.before(self._clock.now_ms() - OVERDUE_MS)
        for batch in _batches(names):
            if not time_left():
                done.finished = False
                break
            for sent in self._pool.map(self._fire, batch):
                if sent is None:
                    continue
                if sent:
                    done.mended["schedules_fired"] += 1
                else:
                    done.found[UNREADABLE] += 1
        return done

    def _fire(self, name: str) -> bool | None:
        """Whether a schedule's message was sent; None when the schedule is gone."""
        text = self._due.input_of(name)
        if text is None:
            return None
        if not self._send(text):
            logger.error("schedule cannot be read", schedule=name)
            return False
        self._due.delete(name)
        return True

    def redeliver(self, time_left: Callable[[], bool]) -> Done:
        """Send what lies in the schedules' dead-letter queue; what cannot be read stays there."""
        done = Done()
        progress = True
        while progress:
            if not time_left():
                done.finished = False
                break
            answer = self._sqs.receive_message(QueueUrl=self._dlq_url, MaxNumberOfMessages=10)
            progress = False
            for message in answer.get("Messages", ()):
                if self._send(message["Body"]):
                    self._sqs.delete_message(QueueUrl=self._dlq_url, ReceiptHandle=message["ReceiptHandle"])
                    done.mended["schedules_redelivered"] += 1
                    progress = True
                else:
                    done.found[UNREADABLE] += 1
        return done

    def _send(self, text: str) -> bool:
        """Put a schedule's message on its queue, if it is one of ours."""
        message = message_of(text)
        if message is None or message["QueueUrl"] not in self._urls:
            return False
        self._sqs.send_message(**message)
        return True


def _batches(names: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(names, BATCH)):
        yield batch
