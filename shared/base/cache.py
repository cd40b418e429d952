"""What a process remembers of a table for a while, so that hot paths do not ask for the same item again and again."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from shared.model.clock import Clock

V = TypeVar("V")
FOREVER = float("inf")


class TtlCache(Generic[V]):
    """Values by key, least recently used first out; thread-safe. Absence is remembered apart and briefly, so that a
    stranger's made-up keys drive nothing useful out.

    seconds: how long a value is good for, or a function of the value that says so. size: the most values kept, and
    the most absences. miss_seconds: how long an absence is good for.
    """

    def __init__(self, clock: Clock, seconds: float | Callable[[V], float], size: int, miss_seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._miss_ms = 1000 * miss_seconds
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[V, float]] = OrderedDict()
        self._misses: OrderedDict[str, float] = OrderedDict()
        self._dropped = 0

    def get(self, key: str, load: Callable[[], V | None], fresh: bool = False) -> V | None:
        """The value under `key`, from `load` when none is known or it is too old, or if it is to be fresh.

        Raises: what `load` raises.
        """
        now = self._clock.now_ms()
        with self._lock:
            found = self._values.get(key)
            if found is not None and now < found[1] and not fresh:
                self._values.move_to_end(key)
                return found[0]
            if now < self._misses.get(key, 0) and not fresh:
                return None
            dropped = self._dropped
        value = load()
        with self._lock:
            # Something changed while this was read, so it may be what was there before: hand it out, do not keep it.
            if dropped == self._dropped:
                self._keep(key, value, now)
        return value

    def drop(self, key: str) -> None:
        """Forget a key, because its item changed."""
        with self._lock:
            self._dropped += 1
            self._values.pop(key, None)
            self._misses.pop(key, None)

    def _keep(self, key: str, value: V | None, now: int) -> None:
        if value is None:
            self._values.pop(key, None)
            self._misses[key] = now + self._miss_ms
            self._misses.move_to_end(key)
            if len(self._misses) > self._size:
                self._misses.popitem(last=False)
            return
        seconds = self._seconds(value) if callable(self._seconds) else self._seconds
        self._misses.pop(key, None)
        self._values[key] = (value, now + 1000 * seconds)
        self._values.move_to_end(key)
        if len(self._values) > self._size:
            self._values.popitem(last=False)
