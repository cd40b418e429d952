"""Counts the requests that go to AWS, as a bill would: those of the functions, and those of the event source mappings."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.handlers import BUILTIN_HANDLERS

Observer = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], None]
"""Called after each request with service, operation, its parameters and its answer (empty if it was an error)."""

_PARAMETERS = "mepush_parameters"


class RequestCounter:
    """Counts requests by `service.Operation` (boto3's names, such as `sqs.SendMessageBatch`).

    counts: all that a bill would show. mappings: of these, what the event source mappings asked for. Requests of the
    local stack itself (an empty receive, a look at a queue) are in neither.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quiet = threading.local()
        self._observers: list[Observer] = []
        self.counts: Counter[str] = Counter()
        self.mappings: Counter[str] = Counter()

    def install(self) -> None:
        """Count the requests of all clients whose session is made from now on, and of no others."""
        # A session copies this list when it is made: there is no other place that reaches the sessions of others.
        BUILTIN_HANDLERS.append(("before-parameter-build", self._before))
        BUILTIN_HANDLERS.append(("after-call", self._after))

    def uninstall(self) -> None:
        """Leave sessions that are made from now on alone."""
        for event, handler in (("before-parameter-build", self._before), ("after-call", self._after)):
            if (event, handler) in BUILTIN_HANDLERS:
                BUILTIN_HANDLERS.remove((event, handler))
        self._observers.clear()

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Do not count what this thread asks for within the block."""
        before = getattr(self._quiet, "on", False)
        self._quiet.on = True
        try:
            yield
        finally:
            self._quiet.on = before

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

    def _before(self, params: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        context[_PARAMETERS] = params
        if not getattr(self._quiet, "on", False):
            with self._lock:
                self.counts[f"{model.service_model.service_name}.{model.name}"] += 1

    def _after(self, parsed: Any, model: Any, context: dict[str, Any], http_response: Any, **_: Any) -> None:
        answer = parsed if http_response.status_code < 300 else {}
        for observer in self._observers:
            observer(model.service_model.service_name, model.name, context.get(_PARAMETERS) or {}, answer)
