"""Doubles that tests share."""

import logging
import threading
from collections.abc import Iterable

from botocore.exceptions import EndpointConnectionError


class FakeClock:
    """A clock that stands still until it is moved; thread-safe.

    start_ms: milliseconds since the epoch; by default 2025-01-15T10:00:00Z.
    """

    def __init__(self, start_ms: int = 1_736_935_200_000) -> None:
        self._lock = threading.Lock()
        self._now = start_ms

    def now_ms(self) -> int:
        with self._lock:
            return self._now

    def advance(self, seconds: float = 0.0, *, ms: int = 0) -> int:
        """Move on (or back, with a negative amount) and return the new time."""
        with self._lock:
            self._now += round(seconds * 1000) + ms
            return self._now

    def set(self, now_ms: int) -> None:
        """Go to a time."""
        with self._lock:
            self._now = now_ms


def logged(records: Iterable[logging.LogRecord]) -> str:
    """All that log records hold: messages, arguments, structured fields and exceptions."""
    return "\n".join(f"{record.getMessage()} {vars(record)!r} {record.exc_info!r}" for record in records)


def out_of_reach(service: str) -> EndpointConnectionError:
    """What botocore raises when a service cannot be connected to."""
    return EndpointConnectionError(endpoint_url=f"https://{service}.example.com")
