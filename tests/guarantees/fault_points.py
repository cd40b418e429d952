"""Points at which a function can be struck: each call with an effect, and each ask of a provider."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, ReadTimeoutError

from local.pollers import QueuePoller
from shared.aws import clients

T = TypeVar("T")
Make = Callable[[], Any]

EFFECTS = frozenset(
    {
        "BatchWriteItem",
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "CreateSchedule",
        "DeleteItem",
        "DeleteMessage",
        "DeleteMessageBatch",
        "DeleteSchedule",
        "PutItem",
        "PutRecords",
        "SendMessage",
        "SendMessageBatch",
        "TransactWriteItems",
        "UpdateItem",
    }
)
"""AWS operations that change something; dying beside any other is dying beside one of these."""


class CrashError(BaseException):
    """The end of a function's process; nothing may catch it but the test."""


class FunctionDiedError(Exception):
    """What whoever invoked a function sees of its end."""


class Position(StrEnum):
    """What happens at a call.

    before, after: the process dies there. lost: the call is done, its answer is not had. refused: it is not done.
    repeated: the client does it again because the first answer was lost. throttled: AWS refuses it. partial: AWS does
    all of it but the first entry. twice: what the function was invoked with is delivered to another one just then, and
    that one goes on until its end. visited: nothing but a visitor's work, where there is one.
    """

    BEFORE = "before"
    AFTER = "after"
    LOST = "lost"
    REFUSED = "refused"
    REPEATED = "repeated"
    THROTTLED = "throttled"
    PARTIAL = "partial"
    TWICE = "twice"
    VISITED = "visited"


@dataclass(frozen=True, slots=True)
class AwsCall:
    """What a call to AWS can come to. throttled: the error. partly: does part of it and answers so; None: it cannot."""

    throttled: Callable[[], Exception]
    partly: Make | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call with an effect on its way to AWS. make: makes it, and returns the answer."""

    client: Any
    operation: str
    parameters: Any
    make: Make

    def throttled(self) -> Exception:
        """The error of a call that is not carried out, after all tries of the client."""
        return _throttled(self.client, self.operation, self.parameters)


class FaultPoints:
    """Counts calls, and strikes at one of them. Thread-safe.

    names: of the calls so far, in order. again: delivers once more what the function that runs now was invoked with.
    answers: what functions answered that were invoked with the same once more; nobody else sees that.
    down: an AWS service that does nothing and answers nothing, such as `kinesis`. visitor: what somebody else does just
    before the call that is struck. between: stands between the functions and AWS: it makes each call, or not, and gives
    the answer or raises.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: tuple[int, Position] | None = None
        self._counted = 0
        self.names: list[str] = []
        self.struck: str | None = None
        self.again: Callable[[], None] | None = None
        self.answers: list[Any] = []
        self.down: str | None = None
        self.visitor: Callable[[], None] | None = None
        self.between: Callable[[Call], Any] | None = None

    def arm(self, number: int, position: Position) -> None:
        """Strike at the call of that number, counted from 0 and from now, of those to which the position fits."""
        with self._lock:
            self.names, self.struck, self._counted, self._armed = [], None, 0, (number, position)
            self.answers.clear()

    def disarm(self) -> list[str]:
        """Strike no more and count from 0; returns the names of the calls so far."""
        with self._lock:
            names, self.names, self._armed, self.struck = self.names, [], None, None
            return names

    def call(self, name: str, make: Callable[[], T], aws: AwsCall | None = None) -> T:
        """Make a call, unless it is the one to strike at. aws: None for calls of providers, which nobody repeats."""
        if self.down is not None and name.startswith(f"{self.down}."):
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")
        position = self._position(name, aws)
        if position is not None and self.visitor is not None:
            self.visitor()
        if position is Position.BEFORE:
            raise CrashError(name)
        if position is Position.REFUSED:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")
        if position is Position.THROTTLED and aws is not None:
            raise aws.throttled()
        if position is Position.PARTIAL and aws is not None and aws.partly is not None:
            answer: T = aws.partly()
            return answer
        if position is Position.TWICE and self.again is not None:
            self.again()
        answer = make()
        if position is Position.AFTER:
            raise CrashError(name)
        if position is Position.LOST:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return make() if position is Position.REPEATED else answer

    def _position(self, name: str, aws: AwsCall | None) -> Position | None:
        with self._lock:
            self.names.append(name)
            if self._armed is None or not self._fits(self._armed[1], aws):
                return None
            self._counted += 1
            if self._counted != self._armed[0] + 1:
                return None
            self.struck = name
            return self._armed[1]

    def _fits(self, position: Position, aws: AwsCall | None) -> bool:
        if position is Position.PARTIAL:
            return aws is not None and aws.partly is not None
        if position is Position.VISITED:
            return self.visitor is not None
        if position is Position.TWICE:
            return self.again is not None
        return aws is not None or position not in (Position.REPEATED, Position.THROTTLED)


@contextmanager
def watched(points: FaultPoints) -> Iterator[None]:
    """Have all clients of functions, and what the queues' mappings delete, go through `points`."""
    plain_make, plain_delete = clients._make, QueuePoller._delete

    def make(service: str, *arguments: Any) -> Any:
        client = plain_make(service, *arguments)
        call = client._make_api_call

        def through(operation: str, parameters: Any) -> Any:
            if operation not in EFFECTS:
                return call(operation, parameters)
            if points.between is not None:
                return points.between(Call(client, operation, parameters, partial(call, operation, parameters)))
            partly = _PARTLY.get(operation)
            aws = AwsCall(
                lambda: _throttled(client, operation, parameters),
                None if partly is None else lambda: partly(lambda given: call(operation, given), parameters),
            )
            return points.call(f"{service}.{operation}", lambda: call(operation, parameters), aws)

        client._make_api_call = through
        return client

    def delete(poller: QueuePoller, messages: Sequence[Any]) -> None:
        # A mapping that fails to delete leaves the messages to their visibility timeout; it does not die of it.
        with suppress(CrashError, BotoCoreError, ClientError):
            aws = AwsCall(lambda: ClientError(_error("RequestThrottled"), "DeleteMessageBatch"))
            points.call("mapping.DeleteMessageBatch", lambda: plain_delete(poller, messages), aws)

    with patch.object(clients, "_make", make), patch.object(QueuePoller, "_delete", delete):
        yield


def _error(code: str) -> Any:
    return {"Error": {"Code": code, "Message": "Rate exceeded"}}


def _throttled(client: Any, operation: str, parameters: Any) -> Exception:
    """What is left of throttling when the client has tried as often as it does."""
    if operation == "TransactWriteItems":
        reasons = [{"Code": "None"} for _ in parameters["TransactItems"]]
        reasons[0] = {"Code": "ThrottlingError"}
        answer = _error("TransactionCanceledException") | {"CancellationReasons": reasons}
        error: Exception = client.exceptions.TransactionCanceledException(answer, operation)
        return error
    return ClientError(_error("ThrottlingException"), operation)


def _write_partly(call: Callable[[Any], Any], parameters: Any) -> Any:
    ((table, requests),) = parameters["RequestItems"].items()
    if requests[1:]:
        call({"RequestItems": {table: requests[1:]}})
    return {"UnprocessedItems": {table: requests[:1]}}


def _send_partly(call: Callable[[Any], Any], parameters: Any) -> Any:
    first, *rest = parameters["Entries"]
    answer: Any = call({**parameters, "Entries": rest}) if rest else {"Successful": []}
    return {**answer, "Failed": [{"Id": first["Id"], "SenderFault": False, "Code": "InternalError"}]}


def _put_partly(call: Callable[[Any], Any], parameters: Any) -> Any:
    rest = parameters["Records"][1:]
    records = call({**parameters, "Records": rest})["Records"] if rest else []
    failed = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
    return {"FailedRecordCount": 1, "Records": [failed, *records]}


_PARTLY: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "BatchWriteItem": _write_partly,
    "SendMessageBatch": _send_partly,
    "PutRecords": _put_partly,
}
