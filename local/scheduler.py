"""Plays EventBridge Scheduler on top of moto's, which only stores schedules: validates them and fires them.

After the EventBridge Scheduler user guide ("Schedule types", "Managing targets") and API reference.
"""

import heapq
import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import moto.scheduler.models as models
import moto.scheduler.responses as responses
from moto.scheduler.exceptions import ScheduleExists, ScheduleGroupNotFound, ValidationException

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import Invocations
from local.logs import SINK
from local.moto_patches import MOTO_LOCK
from local.pollers import Poller
from shared.model.clock import iso
from shared.policy.cron import At, Cron, Expression, ExpressionError, Rate, parse

SEND_MESSAGE = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
"""In an input, stands for the time that a schedule meant (user guide, "Adding context attributes")."""
MAX_INPUT_BYTES = 256 * 1024
_ASYNC_PAUSES_S = (60, 120)
"""Lambda tries an asynchronous invocation that failed twice more, after one minute and two (Lambda developer guide)."""
_INVOCATIONS = Invocations(len(_ASYNC_PAUSES_S), 6 * 3600, "")
"""Of a function for which nothing else was set (Lambda API reference, PutFunctionEventInvokeConfig)."""
_IDLE_WAIT_S = 60.0


class LocalScheduler(Poller):
    """Fires schedules by the stack's clock.

    invoke: of a function by its ARN. invocations: what was set for those that are asynchronous, by the same. It must be
    on (`with scheduler.patched()`) before schedules are created.
    """

    def __init__(
        self,
        clock: LocalClock,
        sqs: Any,
        invoke: Callable[[str, Any], Any],
        counter: RequestCounter,
        invocations: Mapping[str, Invocations] | None = None,
    ) -> None:
        super().__init__("scheduler")
        self._clock = clock
        self._sqs = sqs
        self._invoke = invoke
        self._counter = counter
        self._invocations = invocations or {}
        self._lock = threading.RLock()
        self._order = itertools.count()
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._current: dict[int, int] = {}
        self._recurring: set[int] = set()
        self._tokens: dict[tuple[str, str], str] = {}

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Have moto's scheduler validate what it is given and hand it to this one, within the block."""
        with ExitStack() as stack:
            for target, name, value in (*self._backend(), *self._service()):
                stack.enter_context(patch.object(target, name, value))
            yield

    def _backend(self) -> list[tuple[Any, str, Any]]:
        """Of moto's: what keeps the schedules."""
        backend = models.EventBridgeSchedulerBackend
        create, update, delete = backend.create_schedule, backend.update_schedule, backend.delete_schedule

        def create_schedule(this: Any, **given: Any) -> Any:
            group = given["group_name"] or "default"
            if group not in this.schedule_groups:
                raise ScheduleGroupNotFound(group)
            expression = _validated(given)
            schedule = create(this, **given)
            self._add(schedule, expression, this)
            return schedule

        def update_schedule(this: Any, **given: Any) -> Any:
            expression = _validated(given)
            schedule = update(this, **given)
            self._add(schedule, expression, this)
            return schedule

        def delete_schedule(this: Any, group_name: str | None, name: str) -> None:
            schedule = this.get_schedule(group_name, name)
            delete(this, group_name, name)
            self._forget(schedule)

        return [
            (backend, "create_schedule", create_schedule),
            (backend, "update_schedule", update_schedule),
            (backend, "delete_schedule", delete_schedule),
        ]

    def _service(self) -> list[tuple[Any, str, Any]]:
        """Of moto's: what reads requests, and leaves some of their fields unread."""
        service = responses.EventBridgeSchedulerResponse
        answer_create, answer_update = service.create_schedule, service.update_schedule

        def idempotent(this: Any) -> str:
            key = (this._get_param("GroupName") or "default", this.uri.split("?")[0].split("/")[-1])
            token = this._get_param("ClientToken")
            schedules = getattr(this.scheduler_backend.schedule_groups.get(key[0]), "schedules", {})
            if key[1] in schedules:
                if token and self._tokens.get(key) == token:
                    return json.dumps({"ScheduleArn": schedules[key[1]].arn})
                raise ScheduleExists(key[1])
            made: str = answer_create(this)
            self._tokens[key] = token
            return made

        def complete(this: Any) -> str:
            changed: str = answer_update(this)
            schedule = this.scheduler_backend.get_schedule(
                this._get_param("GroupName"), this.uri.split("?")[0].split("/")[-1]
            )
            # An update replaces every field; moto leaves this one out.
            schedule.action_after_completion = this._get_param("ActionAfterCompletion")
            return changed

        return [(service, "create_schedule", idempotent), (service, "update_schedule", complete)]

    def step(self) -> bool:
        self._work_begins()
        try:
            action = self._take()
            if action is None:
                return False
            due_ms, fire = action
            try:
                fire(due_ms)
            except Exception:  # of any kind: the scheduler goes on
                SINK.failure("scheduler")
            return True
        finally:
            self._work_ends()

    def due_ms(self) -> float | None:
        """As of all pollers, but for what recurs: of that something is always left, and nothing waits for it."""
        with self._lock:
            return min((due for due, entry, _ in self._due if entry not in self._recurring), default=None)

    def _next_ms(self) -> int | None:
        with self._lock:
            return self._due[0][0] if self._due else None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            while not self._stopping.is_set() and self.step():
                pass
            due = self._next_ms()
            seconds = _IDLE_WAIT_S if due is None else min(max(due / 1000 - self._clock.now(), 0.0), _IDLE_WAIT_S)
            self._awake.wait(seconds)

    def _take(self) -> tuple[int, Callable[[int], None]] | None:
        with self._lock:
            if not self._due or self._due[0][0] > self._clock.now_ms():
                return None
            due_ms, _, fire = heapq.heappop(self._due)
            return due_ms, fire

    def _push(self, due_ms: int, fire: Callable[[int], None], entry: int | None = None) -> None:
        with self._lock:
            heapq.heappush(self._due, (due_ms, next(self._order) if entry is None else entry, fire))
        self.wake()

    def _add(self, schedule: Any, expression: Expression, backend: Any) -> None:
        """Enter the first firing of a schedule that was made or changed."""
        now = self._clock.now_ms()
        if schedule.state == "DISABLED":
            self._forget(schedule)
            return
        start = max(now, _ms(schedule.start_date))
        first: int | None
        match expression:
            case At(at_ms):
                first = at_ms
            case Rate():
                first = start  # without a start date, at once
            case Cron():
                first = expression.next_after(start - 1)
        self._plan(schedule, expression, backend, first)

    def _plan(self, schedule: Any, expression: Expression, backend: Any, due_ms: int | None) -> None:
        """Enter one firing; what was entered for the schedule before no longer counts."""
        self._forget(schedule)
        end = _ms(schedule.end_date)
        if due_ms is None or (end and due_ms > end and not isinstance(expression, At)):
            self._finish(schedule, backend)
            return
        with self._lock:
            entry = next(self._order)
            self._current[id(schedule)] = entry
            if not isinstance(expression, At):
                self._recurring.add(entry)

        def fire(at_ms: int) -> None:
            with self._lock:
                if self._current.get(id(schedule)) != entry:
                    return
            self._counter.add("scheduler.Invocation")
            try:
                self._send(schedule, _filled_in(schedule.target, at_ms))
            finally:
                following: int | None = None
                if isinstance(expression, Rate):
                    following = self._following(at_ms, expression, schedule)
                elif isinstance(expression, Cron):
                    following = expression.next_after(at_ms)
                self._plan(schedule, expression, backend, following)

        self._push(due_ms, fire, entry)

    def _following(self, at_ms: int, rate: Rate, schedule: Any) -> int:
        """The next firing; of those of a function that moving the clock has skipped, one is enough."""
        missed = max(0, self._clock.now_ms() - at_ms) // rate.every_ms if ":lambda:" in schedule.target["Arn"] else 0
        return at_ms + (missed + 1) * rate.every_ms

    def _finish(self, schedule: Any, backend: Any) -> None:
        """A schedule that will not fire again stays, unless it said otherwise."""
        group = backend.schedule_groups.get(schedule.group_name)
        if schedule.action_after_completion == "DELETE" and group is not None:
            with MOTO_LOCK:
                group.schedules.pop(schedule.name, None)

    def _forget(self, schedule: Any) -> None:
        with self._lock:
            entry = self._current.pop(id(schedule), None)
            self._recurring.discard(-1 if entry is None else entry)
            self._due = [each for each in self._due if each[1] != entry]
            heapq.heapify(self._due)

    def _send(self, schedule: Any, target: Mapping[str, Any]) -> None:
        try:
            self._deliver(target)
        except Exception:  # of any kind: the schedule is gone, and its message must not be
            # A queue that is not there stays so: the retries of a day are left out.
            dead = (target.get("DeadLetterConfig") or {}).get("Arn")
            SINK.failure(f"scheduler: {schedule.name}")
            if dead:
                url = self._queue_url(dead)
                self._sqs.send_message(QueueUrl=url, MessageBody=target.get("Input") or "{}")
                self._counter.add("sqs.SendMessage")

    def _deliver(self, target: Mapping[str, Any]) -> None:
        arn, text = target["Arn"], target.get("Input") or "{}"
        if ":lambda:" in arn:
            self.invoke_later(arn, json.loads(text))
            return
        if arn == SEND_MESSAGE:
            parameters = json.loads(text)
        else:
            parameters = {"QueueUrl": self._queue_url(arn), "MessageBody": text}
            group = (target.get("SqsParameters") or {}).get("MessageGroupId")
            parameters |= {"MessageGroupId": group} if group else {}
        self._sqs.send_message(**parameters)
        self._counter.add("sqs.SendMessage")

    def invoke_later(self, arn: str, event: Any) -> None:
        """Invoke a function asynchronously, as Lambda does: among the things due, so that nothing waits for it."""
        self._invoke_after(0, _Invocation(arn, event, str(uuid.uuid4()), self._clock.now_ms()))

    def _invoke_after(self, seconds: int, invocation: "_Invocation") -> None:
        settings = self._invocations.get(invocation.arn, _INVOCATIONS)

        def run(_: int) -> None:
            try:
                self._invoke(invocation.arn, invocation.event)
            except Exception as error:  # a function may raise anything
                SINK.failure(f"asynchronous invocation: {invocation.arn}")
                tried = invocation.tried
                age_ms = self._clock.now_ms() - invocation.began_ms
                if tried < settings.max_retries and age_ms < 1000 * settings.max_age_s:
                    self._invoke_after(_ASYNC_PAUSES_S[tried], replace(invocation, tried=tried + 1))
                elif settings.failure_queue_url:
                    condition = "RetriesExhausted" if tried >= settings.max_retries else "EventAgeExceeded"
                    record = _record(invocation, condition, error, self._clock.now_ms())
                    self._sqs.send_message(QueueUrl=settings.failure_queue_url, MessageBody=json.dumps(record))
                    self._counter.add("sqs.SendMessage")

        self._push(self._clock.now_ms() + 1000 * seconds, run)

    def _queue_url(self, arn: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"])


@dataclass(frozen=True, slots=True)
class _Invocation:
    """An asynchronous invocation. tried: how often it failed before."""

    arn: str
    event: Any
    id: str
    began_ms: int
    tried: int = 0


def _record(invocation: _Invocation, condition: str, error: Exception, now_ms: int) -> dict[str, Any]:
    """What Lambda keeps of an invocation that it gives up (Lambda developer guide, "Capturing records of Lambda
    asynchronous invocations")."""
    return {
        "version": "1.0",
        "timestamp": iso(now_ms),
        "requestContext": {
            "requestId": invocation.id,
            "functionArn": f"{invocation.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": invocation.tried + 1,
        },
        "requestPayload": invocation.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": str(error), "errorType": type(error).__name__},
    }


def _filled_in(target: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    """A target with the time of a firing in its input."""
    time = f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {**target, "Input": (target.get("Input") or "").replace(SCHEDULED_TIME, time)}


def _ms(date: Any) -> int:
    """A date as moto keeps it (seconds since the epoch), in milliseconds; 0 for none."""
    return int(float(date) * 1000) if date else 0


def _validated(given: Mapping[str, Any]) -> Expression:
    """What EventBridge Scheduler refuses, refused. Raises: moto's ValidationException."""
    target = given["target"]
    arn = target.get("Arn", "")
    window = given["flexible_time_window"]
    if not re.fullmatch(r"[0-9a-zA-Z\-_.]{1,64}", given["name"]):
        raise ValidationException("Invalid Name.")
    if not arn == SEND_MESSAGE and not re.match(r"arn:aws:(sqs|lambda):", arn):
        raise ValidationException(f"The local stack fires at SQS and Lambda only, not at {arn}.")
    if len((target.get("Input") or "").encode()) > MAX_INPUT_BYTES:
        raise ValidationException("Input is larger than 256 KB.")
    if arn == SEND_MESSAGE and not {"QueueUrl", "MessageBody"} <= _json(target.get("Input")).keys():
        raise ValidationException("Input must hold QueueUrl and MessageBody.")
    flexible = window.get("Mode") == "FLEXIBLE"
    if flexible != ("MaximumWindowInMinutes" in window) or window.get("Mode") not in ("OFF", "FLEXIBLE"):
        raise ValidationException("Invalid FlexibleTimeWindow.")
    if given.get("action_after_completion") not in (None, "NONE", "DELETE"):
        raise ValidationException("Invalid ActionAfterCompletion.")
    try:
        return parse(given["schedule_expression"], given["schedule_expression_timezone"] or "UTC")
    except ExpressionError as error:
        raise ValidationException(f"Invalid Schedule Expression: {error}") from None


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
