"""The local stack's clock: real time plus an offset, so that what is due tomorrow can be seen today."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class RealClock:
    """The machine's clock, whatever the stack's shows: for what a vendor's library signs by itself."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class LocalClock:
    """Wall-clock time plus an offset; thread-safe. Time never goes back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset_ms = 0
        self._listeners: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time() + self._offset_ms / 1000

    def utcnow(self) -> datetime:
        """The time in UTC, without a time zone, as moto keeps it."""
        return datetime.fromtimestamp(self.now(), UTC).replace(tzinfo=None)

    def advance(self, seconds: float) -> None:
        """Move on, and wake whoever waits for a time. Raises: ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._offset_ms += round(seconds * 1000)
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each `advance`."""
        with self._lock:
            self._listeners.append(listener)
