"""Counts the requests that go to AWS as a bill would: of the functions and of the event source mappings."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.handlers import BUILTIN_HANDLERS

from local.deployment import REGION

Observer = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], None]
"""Called after each request with service, operation, its parameters and its answer (empty if it was an error)."""

Guard = Callable[[str, str, Mapping[str, Any]], None]
"""Called before each request with service, operation and parameters; raises what refuses it."""

_PARAMETERS = "mepush_parameters"
_BEFORE, _AFTER = "before-parameter-build", "after-call"


class StackClosedError(Exception):
    """A client was used after its local stack was closed."""


class RequestCounter:
    """Counts requests by `service.Operation` (boto3's names, such as `sqs.SendMessageBatch`).

    counts: all that a bill would show. mappings: of these, what the event source mappings asked for. Requests of the
    local stack itself (an empty receive, a look at a queue) are in neither. guard: asked before each request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on = True
        self._observers: list[Observer] = []
        self.guard: Guard = lambda service, operation, parameters: None
        self._handlers = [(_BEFORE, self._remember), (_BEFORE, self._count), (_AFTER, self._after)]
        self.counts: Counter[str] = Counter()
        self.mappings: Counter[str] = Counter()

    def install(self) -> None:
        """Count the requests of all clients whose session is made from now on, and of no others."""
        # A session copies this list when it is made: there is no other place that reaches the sessions of others.
        BUILTIN_HANDLERS.extend(self._handlers)

    def uninstall(self) -> None:
        """Leave sessions that are made from now on alone; clients of those made before refuse to work."""
        for each in self._handlers:
            if each in BUILTIN_HANDLERS:
                BUILTIN_HANDLERS.remove(each)
        self._observers.clear()
        self._on = False

    def session(self) -> boto3.session.Session:
        """A session whose requests are observed but not counted: for what belongs to the local stack itself."""
        session = boto3.session.Session(region_name=REGION)
        session.events.unregister(_BEFORE, self._count)
        return session

    def mapping(self, operation: str) -> None:
        """Count one request that an event source mapping made."""
        with self._lock:
            self.mappings[operation] += 1
            self.counts[operation] += 1

    def add(self, operation: str) -> None:
        """Count one request that a service made on our account, such as a schedule's firing."""
        with self._lock:
            self.counts[operation] += 1

    def observe(self, observer: Observer) -> None:
        """Call `observer` after each request, counted or not, in the thread that made it."""
        self._observers.append(observer)

    def clear(self) -> None:
        """Begin at zero."""
        with self._lock:
            self.counts.clear()
            self.mappings.clear()

    def snapshot(self) -> dict[str, int]:
        """All counts as plain data."""
        with self._lock:
            return dict(self.counts)

    def _remember(self, params: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        if not self._on:
            # A function that outlived its stack must not reach for the real AWS.
            raise StackClosedError("the local stack that this client belongs to is closed")
        context[_PARAMETERS] = params
        self.guard(model.service_model.service_name, model.name, params)

    def _count(self, model: Any, **_: Any) -> None:
        with self._lock:
            self.counts[f"{model.service_model.service_name}.{model.name}"] += 1

    def _after(self, parsed: Any, model: Any, context: dict[str, Any], http_response: Any, **_: Any) -> None:
        answer = parsed if http_response.status_code < 300 else {}
        for observer in self._observers:
            observer(model.service_model.service_name, model.name, context.get(_PARAMETERS) or {}, answer)
