"""SQS in memory: standard queues, each call in the logarithm of what a queue holds."""

import hashlib
import heapq
import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any
from uuid import uuid4

from local.memory.errors import AwsError
from local.memory.operations import Operations, operation
from shared.model.clock import Clock

MAX_ENTRIES = 10
MAX_BYTES = 1024 * 1024
MAX_DELAY_S, MAX_VISIBILITY_S = 900, 43_200
MAX_IN_FLIGHT = 120_000
"""All from the SQS developer guide, "Quotas", and the API reference."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GROUP = re.compile(r"[a-zA-Z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_ENTRY_ID = re.compile(r"[a-zA-Z0-9_-]{1,80}")
_OF_THE_QUEUE = frozenset({"number", "turn", "state"})
"""Fields of a message that its queue gives it."""
_SENDER = "AIDAMEMORYMEMORYMEMOR"


class State(Enum):
    """Where a message stands."""

    DELAYED = "ApproximateNumberOfMessagesDelayed"
    VISIBLE = "ApproximateNumberOfMessages"
    IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"


@dataclass(slots=True, eq=False)
class Message:
    """A message in a queue. due: when it can next be received, in milliseconds; turn: of its heap entry that counts."""

    id: str
    body: str
    group: str
    sent: int
    due: int
    number: int = 0
    turn: int = 0
    state: State = State.DELAYED
    receives: int = 0
    first_received: int = 0
    source: str = ""


class Queue:
    """One queue. Not thread-safe."""

    def __init__(self, name: str, url: str, attributes: Mapping[str, str]) -> None:
        self.name, self.url = name, url
        self.attributes = dict(attributes)
        self.arn = attributes["QueueArn"]
        self.delay_s = int(attributes.get("DelaySeconds", 0))
        self.visibility_s = int(attributes.get("VisibilityTimeout", 30))
        self._retention_ms = int(attributes.get("MessageRetentionPeriod", 345_600)) * 1000
        policy = json.loads(attributes.get("RedrivePolicy") or "{}")
        self.dead_arn = str(policy.get("deadLetterTargetArn", ""))
        self.max_receives = int(policy.get("maxReceiveCount", 0))
        self.messages: dict[int, Message] = {}
        self.counts: Counter[State] = Counter()
        self._numbers = itertools.count(1)
        # Entries of messages that have gone or moved on since are passed over when they come up.
        self._waiting: list[tuple[int, int, int]] = []
        self._visible: list[tuple[int, int]] = []
        self._ends: list[tuple[int, int]] = []

    def add(self, message: Message) -> None:
        """Take a message, to be visible when it is due."""
        message.number = next(self._numbers)
        self.messages[message.number] = message
        heapq.heappush(self._ends, (message.sent + self._retention_ms, message.number))
        self.counts[State.DELAYED] += 1
        message.state = State.DELAYED
        self.hide(message, State.DELAYED, message.due)

    def hide(self, message: Message, state: State, until_ms: int) -> None:
        """Have a message be seen again at a time."""
        self._move(message, state)
        message.turn += 1
        message.due = until_ms
        heapq.heappush(self._waiting, (until_ms, message.number, message.turn))

    def remove(self, message: Message) -> None:
        """Forget a message."""
        del self.messages[message.number]
        self.counts[message.state] -= 1
        message.turn += 1

    def clear(self) -> None:
        """Forget all messages."""
        self.messages.clear()
        self.counts.clear()
        for heap in (self._waiting, self._visible, self._ends):
            heap.clear()

    def advance(self, now: int) -> None:
        """Let what is due become visible, and what is past its retention go."""
        while self._waiting and self._waiting[0][0] <= now:
            _, number, turn = heapq.heappop(self._waiting)
            message = self._current(number, turn)
            if message is not None:
                self._move(message, State.VISIBLE)
                heapq.heappush(self._visible, (number, turn))
        while self._ends and self._ends[0][0] <= now:
            old = self.messages.get(heapq.heappop(self._ends)[1])
            if old is not None:
                self.remove(old)

    def next_visible(self) -> Message | None:
        """The visible message that was sent first, taken off the list of those."""
        while self._visible:
            message = self._current(*heapq.heappop(self._visible))
            if message is not None:
                return message
        return None

    def due_ms(self) -> int | None:
        """When a message will next be visible, or became so."""
        while self._visible:
            message = self._current(*self._visible[0])
            if message is not None:
                return message.due
            heapq.heappop(self._visible)
        while self._waiting and self._current(*self._waiting[0][1:]) is None:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def handle(self, message: Message) -> str:
        """A receipt handle. It names its message and receive, so that none must be remembered."""
        text = f"{self.name}|{message.number}|{message.receives}"
        return f"{text}|{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"

    def handled(self, handle: str) -> tuple[Message | None, bool]:
        """A handle's message, unless it is gone, and whether the handle is of its last receive. Raises: AwsError."""
        name, number, receives, *_ = [*handle.split("|"), "", "", ""]
        if name != self.name or not number.isdigit() or not receives.isdigit():
            raise _bad_handle(handle)
        if hashlib.blake2b(handle.rpartition("|")[0].encode(), digest_size=8).hexdigest() != handle.rpartition("|")[2]:
            raise _bad_handle(handle)
        message = self.messages.get(int(number))
        return message, message is not None and message.receives == int(receives)

    def _current(self, number: int, turn: int) -> Message | None:
        message = self.messages.get(number)
        return message if message is not None and message.turn == turn else None

    def _move(self, message: Message, state: State) -> None:
        self.counts[message.state] -= 1
        self.counts[state] += 1
        message.state = state


def _bad_handle(handle: str) -> AwsError:
    message = f'The input receipt handle "{handle}" is not a valid receipt handle.'
    return AwsError("ReceiptHandleIsInvalid", message, {"message": message})


def _bad_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


def _batch_error(name: str, message: str) -> AwsError:
    return AwsError(f"AWS.SimpleQueueService.{name}", message, modeled=name)


class Sqs(Operations):
    """Queues by URL; thread-safe. Receives do not wait: who waits is woken by what is sent."""

    passed_on = frozenset({"ListQueues", "ListQueueTags"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._queues: dict[str, Queue] = {}
        self._by_arn: dict[str, Queue] = {}

    def adopt(self, url: str, attributes: Mapping[str, str]) -> None:
        """Play a queue from now on, empty, with the attributes that GetQueueAttributes gives."""
        queue = Queue(url.rpartition("/")[2], url, attributes)
        self._queues[url] = self._by_arn[queue.arn] = queue

    def due_ms(self, url: str) -> float | None:
        """When a message of a queue will next be visible, or became so, in milliseconds; None if it is empty."""
        with self._lock:
            return self._queue(url).due_ms()

    def oldest_sent_ms(self, url: str) -> float | None:
        """When the oldest message of a queue was sent, in milliseconds; None if it is empty."""
        with self._lock:
            return min((message.sent for message in self._queue(url).messages.values()), default=None)

    def clear(self) -> None:
        """Empty all queues."""
        with self._lock:
            for queue in self._queues.values():
                queue.clear()

    def held(self, url: str) -> list[dict[str, Any]]:
        """All messages of a queue, as plain data."""
        with self._lock:
            messages = [asdict(message) for message in self._queue(url).messages.values()]
        return [{name: value for name, value in each.items() if name not in _OF_THE_QUEUE} for each in messages]

    def take(self, url: str, messages: Iterable[Mapping[str, Any]]) -> None:
        """Put messages into a queue, as `held` gave them: what was hidden is hidden for as long as it was to be."""
        with self._lock:
            for given in messages:
                self._queue(url).add(Message(**given))

    @operation("QueueName")
    def _get_queue_url(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        for url, queue in self._queues.items():
            if queue.name == asked["QueueName"]:
                return {"QueueUrl": url}
        raise _no_queue()

    @operation("QueueUrl", "AttributeNames")
    def _get_queue_attributes(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            queue = self._seen(asked)
            found = queue.attributes | {state.value: str(queue.counts[state]) for state in State}
        names = asked.get("AttributeNames", [])
        return {"Attributes": {n: v for n, v in found.items() if n in names or "All" in names}} if names else {}

    @operation("QueueUrl")
    def _purge_queue(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._queue(asked["QueueUrl"]).clear()
        return {}

    @operation("QueueUrl", "MessageBody", "DelaySeconds", "MessageGroupId")
    def _send_message(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            return self._sent(self._seen(asked), asked)

    @operation("QueueUrl", "Entries")
    def _send_message_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        entries = _entries(asked)
        total = sum(len(entry["MessageBody"].encode()) for entry in entries)
        if total > MAX_BYTES:
            message = f"Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {total} bytes."
            raise _batch_error("BatchRequestTooLong", message)
        with self._lock:
            queue = self._seen(asked)
            return _batch(entries, lambda entry: self._sent(queue, entry))

    def _sent(self, queue: Queue, entry: Mapping[str, Any]) -> dict[str, Any]:
        body, group, delay_s = entry["MessageBody"], entry.get("MessageGroupId", ""), entry.get("DelaySeconds")
        _check_body(body)
        if "MessageGroupId" in entry and not _GROUP.fullmatch(group):
            raise _bad_value(f"Value {group} for parameter MessageGroupId is invalid.")
        if delay_s is not None and not 0 <= delay_s <= MAX_DELAY_S:
            raise _bad_value(
                f"Value {delay_s} for parameter DelaySeconds is invalid. "
                f"Reason: DelaySeconds must be >= 0 and <= {MAX_DELAY_S}."
            )
        if unknown := entry.keys() - {"Id", "QueueUrl", "MessageBody", "DelaySeconds", "MessageGroupId"}:
            raise NotImplementedError(f"of a message, {', '.join(unknown)} is not known")
        now = self._clock.now_ms()
        delay_ms = (queue.delay_s if delay_s is None else delay_s) * 1000
        message = Message(str(uuid4()), body, group, now, now + delay_ms)
        queue.add(message)
        queue.advance(now)
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(body)}

    @operation(
        "QueueUrl", "MaxNumberOfMessages", "VisibilityTimeout", "WaitTimeSeconds", "AttributeNames",
        "MessageSystemAttributeNames", "MessageAttributeNames",
    )  # fmt: skip
    def _receive_message(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        most, visibility_s = asked.get("MaxNumberOfMessages", 1), asked.get("VisibilityTimeout")
        if not 1 <= most <= MAX_ENTRIES:
            raise _bad_value(f"Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be 1 to 10.")
        _check_visibility(visibility_s)
        names = [*asked.get("AttributeNames", ()), *asked.get("MessageSystemAttributeNames", ())]
        with self._lock:
            queue = self._seen(asked)
            if queue.counts[State.IN_FLIGHT] >= MAX_IN_FLIGHT:
                raise _batch_error("OverLimit", "Too many messages in flight")
            hidden_ms = (queue.visibility_s if visibility_s is None else visibility_s) * 1000
            found: list[dict[str, Any]] = []
            while len(found) < most and (message := queue.next_visible()) is not None:
                if self._given_up(queue, message):
                    continue
                found.append(self._handed_over(queue, message, hidden_ms, names))
        return {"Messages": found} if found else {}

    def _given_up(self, queue: Queue, message: Message) -> bool:
        """Move a message that was received often enough to the dead-letter queue, if there is one."""
        dead = self._by_arn.get(queue.dead_arn)
        if dead is None or message.receives < queue.max_receives:
            return False
        queue.remove(message)
        now = self._clock.now_ms()
        # It keeps the time at which it was sent, and so when its retention ends.
        moved = Message(message.id, message.body, message.group, message.sent, now, receives=message.receives)
        moved.first_received, moved.source = message.first_received, queue.arn
        dead.add(moved)
        dead.advance(now)
        return True

    def _handed_over(self, queue: Queue, message: Message, hidden_ms: int, names: Sequence[str]) -> dict[str, Any]:
        now = self._clock.now_ms()
        message.receives += 1
        message.first_received = message.first_received or now
        queue.hide(message, State.IN_FLIGHT, now + hidden_ms)
        attributes = {
            "SenderId": _SENDER,
            "SentTimestamp": str(message.sent),
            "ApproximateReceiveCount": str(message.receives),
            "ApproximateFirstReceiveTimestamp": str(message.first_received),
            "MessageGroupId": message.group,
            "DeadLetterQueueSourceArn": message.source,
        }
        shown = {n: v for n, v in attributes.items() if v and (n in names or "All" in names)}
        return {
            "MessageId": message.id,
            "ReceiptHandle": queue.handle(message),
            "MD5OfBody": _md5(message.body),
            "Body": message.body,
            **({"Attributes": shown} if shown else {}),
        }

    @operation("QueueUrl", "ReceiptHandle")
    def _delete_message(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            return _deleted(self._seen(asked), asked)

    @operation("QueueUrl", "Entries")
    def _delete_message_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            queue = self._seen(asked)
            return _batch(_entries(asked), lambda entry: _deleted(queue, entry))

    @operation("QueueUrl", "ReceiptHandle", "VisibilityTimeout")
    def _change_message_visibility(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            return self._changed(self._seen(asked), asked)

    @operation("QueueUrl", "Entries")
    def _change_message_visibility_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            queue = self._seen(asked)
            return _batch(_entries(asked), lambda entry: self._changed(queue, entry))

    @operation("SourceArn", "DestinationArn")
    def _start_message_move_task(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """All at once, where SQS takes its time. What no queue gave up goes only to one that is named."""
        with self._lock:
            source, now = self._by_arn.get(asked["SourceArn"]), self._clock.now_ms()
            if source is None or all(queue.dead_arn != source.arn for queue in self._queues.values()):
                raise _bad_value("Source queue must be configured as a Dead Letter Queue.")
            source.advance(now)
            while (message := source.next_visible()) is not None:
                self._move(source, message, self._by_arn.get(asked.get("DestinationArn") or message.source), now)
        return {"TaskHandle": str(uuid4())}

    def _move(self, source: Queue, message: Message, to: Queue | None, now: int) -> None:
        if to is None:
            source.hide(message, State.VISIBLE, now + 1)
            return
        source.remove(message)
        to.add(Message(str(uuid4()), message.body, message.group, now, now))
        to.advance(now)

    def _changed(self, queue: Queue, entry: Mapping[str, Any]) -> dict[str, Any]:
        seconds = entry.get("VisibilityTimeout", 0)
        _check_visibility(seconds)
        message, last = queue.handled(entry["ReceiptHandle"])
        if message is None:
            raise _bad_value("Message does not exist or is not available for visibility timeout change.")
        if not last or message.state is not State.IN_FLIGHT:
            raise _batch_error("MessageNotInflight", "The message referred to is not in flight.")
        now = self._clock.now_ms()
        queue.hide(message, State.IN_FLIGHT, now + seconds * 1000)
        queue.advance(now)
        return {}

    def _seen(self, asked: Mapping[str, Any]) -> Queue:
        """The queue of a request, as it is now."""
        queue = self._queue(asked["QueueUrl"])
        queue.advance(self._clock.now_ms())
        return queue

    def _queue(self, url: str) -> Queue:
        found = self._queues.get(url)
        if found is None:
            raise _no_queue()
        return found


def _no_queue() -> AwsError:
    message = "The specified queue does not exist."
    return AwsError("AWS.SimpleQueueService.NonExistentQueue", message, {"message": message}, "QueueDoesNotExist")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _check_body(body: str) -> None:
    if not body:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _FORBIDDEN.search(body):
        raise AwsError("InvalidMessageContents", "Invalid characters found.")
    if len(body.encode()) > MAX_BYTES:
        message = f"One or more parameters are invalid. Reason: Message must be shorter than {MAX_BYTES} bytes."
        raise _bad_value(message)


def _check_visibility(seconds: int | None) -> None:
    if seconds is not None and not 0 <= seconds <= MAX_VISIBILITY_S:
        raise _bad_value(f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be 0 to 43200.")


def _entries(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The entries of a batch. Raises: AwsError for what makes the whole batch fail."""
    entries: Sequence[Mapping[str, Any]] = asked["Entries"]
    if not entries:
        raise _batch_error("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > MAX_ENTRIES:
        message = f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
        raise _batch_error("TooManyEntriesInBatchRequest", message)
    ids = [entry["Id"] for entry in entries]
    if not all(_ENTRY_ID.fullmatch(id) for id in ids):
        raise _batch_error("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, - and _.")
    if len(set(ids)) < len(ids):
        raise _batch_error("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
    return entries


def _batch(entries: Sequence[Mapping[str, Any]], do: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Do each entry by itself, and say which failed."""
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            done.append({"Id": entry["Id"], **do(entry)})
        except AwsError as error:
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message})
    return {"Successful": done, "Failed": failed}


def _deleted(queue: Queue, entry: Mapping[str, Any]) -> dict[str, Any]:
    message, last = queue.handled(entry["ReceiptHandle"])
    # With a handle of an earlier receive the call succeeds, and the message may stay (SQS API reference,
    # DeleteMessage): here it always does, which is harder on who relies on it.
    if message is not None and last:
        queue.remove(message)
    return {}
