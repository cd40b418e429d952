"""Plays the buses of EventBridge: takes events, and hands those that fit a rule to its functions.

After the EventBridge API reference (PutEvents, PutEventsRequestEntry, PutEventsResultEntry) and user guide ("Event
structure reference"). Lambda takes whatever it is handed, so nothing needs to be handed over again.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from local.clock import LocalClock
from local.counting import RequestCounter
from local.deployment import ACCOUNT, REGION, Rule
from local.gateway import Answer, Incoming
from local.patterns import matches

PATH = "events"
"""Under `/_local/`: takes PutEvents as the AWS CLI and the SDKs write it, and shows what was set aside."""
MAX_ENTRIES = 10
MAX_BYTES = 256 * 1024
"""Of all entries of a request (EventBridge user guide, "Calculating PutEvents event entry size")."""
_BILLED_BYTES = 64 * 1024
"""So much of an event is paid for as one."""
_TARGET = "AWSEvents.PutEvents"
_JSON = [("content-type", "application/x-amz-json-1.1")]
_SHOWN = 10

Entry = Mapping[str, Any]


class PutEventsError(Exception):
    """A request that EventBridge refuses as a whole."""


class _EntryError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalBuses:
    """The buses of a deployment. invoke_later: asynchronously, by a function's ARN. sqs: to show what was set aside."""

    def __init__(
        self,
        names: Sequence[str],
        rules: Sequence[Rule],
        invoke_later: Callable[[str, Any], None],
        sqs: Any,
        clock: LocalClock,
        counter: RequestCounter,
    ) -> None:
        self._names = ("default", *names)
        self._rules = rules
        self._invoke_later = invoke_later
        self._sqs = sqs
        self._clock = clock
        self._counter = counter

    def put(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer PutEvents. Raises: PutEventsError."""
        entries = request.get("Entries")
        if not isinstance(entries, list | tuple) or not 1 <= len(entries) <= MAX_ENTRIES:
            raise PutEventsError(f"Entries must have 1 to {MAX_ENTRIES} items.")
        if not all(isinstance(entry, Mapping) for entry in entries):
            raise PutEventsError("Each of Entries must be an object.")
        if sum(_size(entry) for entry in entries) > MAX_BYTES:
            raise PutEventsError("Total size of the entries in the request is over the limit.")
        results = [self._take(entry) for entry in entries]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in results), "Entries": results}

    @contextmanager
    def played(self) -> Iterator[None]:
        """Answer PutEvents of all clients within the block."""
        pass_on = vars(BaseClient)["_make_api_call"]

        def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            if operation != "PutEvents":
                return pass_on(client, operation, parameters)
            try:
                return self.put(parameters)
            except PutEventsError as error:
                refusal: Any = {"Error": {"Code": "ValidationException", "Message": str(error)}}
                raise ClientError(refusal, operation) from None

        with patch.object(BaseClient, "_make_api_call", call):
            yield

    def __call__(self, request: Incoming) -> Answer:
        """Answer the local page."""
        if request.method == "GET":
            return 200, [("content-type", "application/json")], json.dumps(self._set_aside(), indent=2).encode()
        headers = {name.lower(): value for name, value in request.headers}
        if request.method != "POST" or headers.get("x-amz-target", _TARGET) != _TARGET:
            return _refused("UnknownOperationException", "The local stack knows PutEvents only.")
        try:
            given = json.loads(request.body)
            if not isinstance(given, Mapping):
                return _refused("SerializationException", "The body must be a JSON object.")
            return 200, _JSON, json.dumps(self.put(given)).encode()
        except PutEventsError as error:
            return _refused("ValidationException", str(error))
        except ValueError:
            return _refused("SerializationException", "The body is not JSON.")

    def _take(self, entry: Entry) -> dict[str, str]:
        try:
            bus, event = self._event(entry)
        except _EntryError as error:
            return {"ErrorCode": error.code, "ErrorMessage": str(error)}
        for _ in range(-(-_size(entry) // _BILLED_BYTES)):
            self._counter.add("events.Event")
        waiting: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._hand_over(bus, event, 0, waiting)
        self._queue(waiting)
        return {"EventId": event["id"]}

    def publish(self, source: str, events: Iterable[tuple[str, Mapping[str, Any], int]]) -> None:
        """Events of an AWS service, on the default bus, as it puts them there itself; free of charge.

        events: type, detail, and how many seconds after now, for rules with queues as targets.
        """
        waiting: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for detail_type, detail, delay_s in events:
            self._hand_over("default", self._enveloped(source, detail_type, dict(detail), None, ()), delay_s, waiting)
        self._queue(waiting)

    def _hand_over(
        self, bus: str, event: dict[str, Any], delay_s: int, waiting: dict[str, list[tuple[str, int]]]
    ) -> None:
        for rule in self._rules:
            if rule.bus == bus and matches(rule.pattern, event):
                for function in rule.functions:
                    self._invoke_later(function, event)
                for url in rule.queue_urls:
                    waiting[url].append((json.dumps(event), delay_s))

    def _queue(self, waiting: Mapping[str, Sequence[tuple[str, int]]]) -> None:
        # Ten at a time: a provider that takes fifty mails by a call has as many events to tell before it answers.
        for url, messages in waiting.items():
            for start in range(0, len(messages), MAX_ENTRIES):
                entries = [
                    {"Id": str(i), "MessageBody": body, "DelaySeconds": delay_s}
                    for i, (body, delay_s) in enumerate(messages[start : start + MAX_ENTRIES])
                ]
                self._sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def _event(self, entry: Entry) -> tuple[str, dict[str, Any]]:
        """The bus of an entry, and the event that targets get. Raises: _EntryError."""
        for name in ("Source", "DetailType", "Detail"):
            if not isinstance(entry.get(name), str) or not entry[name]:
                raise _EntryError("InvalidArgument", f"Parameter {name} is not valid: it is required.")
        if entry["Source"].startswith("aws."):
            raise _EntryError("NotAuthorizedForSourceException", f"Not authorized for the source {entry['Source']}.")
        bus = str(entry.get("EventBusName") or "default").rpartition("/")[2]
        if bus not in self._names:
            # Said here, so that a name that is misspelt shows.
            raise _EntryError("InvalidArgument", f"There is no bus {bus}; there are {', '.join(self._names)}.")
        try:
            detail = json.loads(entry["Detail"], parse_constant=_no_json)
        except ValueError:
            detail = None
        if not isinstance(detail, dict):
            raise _EntryError("MalformedDetail", "Detail is malformed.")
        about = entry["Source"], entry["DetailType"]
        return bus, self._enveloped(*about, detail, entry.get("Time"), entry.get("Resources") or ())

    def _enveloped(
        self, source: str, detail_type: str, detail: dict[str, Any], time: Any, resources: Iterable[str]
    ) -> dict[str, Any]:
        """An event as targets get it. Raises: _EntryError."""
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT,
            "time": f"{self._time(time):%Y-%m-%dT%H:%M:%SZ}",
            "region": REGION,
            "resources": list(resources),
            "detail": detail,
        }

    def _time(self, given: Any) -> datetime:
        """When an event happened: as clients hand it on, in seconds or as text; now, if it does not say."""
        if given is None:
            return datetime.fromtimestamp(self._clock.now(), UTC)
        try:
            if isinstance(given, int | float):
                return datetime.fromtimestamp(given, UTC)
            return (given if isinstance(given, datetime) else datetime.fromisoformat(given)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise _EntryError("InvalidArgument", "Parameter Time is not valid.") from None

    def _set_aside(self) -> list[Any]:
        """Some of what is on the dead-letter queues of the rules; it stays there."""
        found: list[Any] = []
        for url in dict.fromkeys(url for rule in self._rules for url in rule.dead_letter_urls):
            answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_SHOWN, VisibilityTimeout=0)
            found += [json.loads(message["Body"]) for message in answer.get("Messages", ())]
        return found


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def _size(entry: Entry) -> int:
    """As it is counted: 14 bytes for a time, and what the texts take in UTF-8."""
    texts = [entry.get(name) for name in ("Source", "DetailType", "Detail")] + list(entry.get("Resources") or ())
    return (14 if entry.get("Time") is not None else 0) + sum(len(str(text).encode()) for text in texts if text)


def _refused(code: str, message: str) -> Answer:
    return 400, _JSON, json.dumps({"__type": code, "message": message}).encode()
