"""What functions measure, kept by the minute, as CloudWatch does for the alarms: for the last two hours."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.model.clock import Clock

KEPT_MINUTES = 120
MINUTE_MS = 60_000

Dimensions = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. dimensions: those that it has been measured with, and no others."""

    namespace: str
    name: str
    dimensions: Dimensions


@dataclass(slots=True)
class _Minute:
    total: float = 0.0
    largest: float = float("-inf")


class Metrics:
    """Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[Metric, dict[int, _Minute]] = defaultdict(dict)

    def add(self, metric: Metric, values: Iterable[float]) -> None:
        """Note values that were measured now."""
        now = self._clock.now_ms() // MINUTE_MS
        with self._lock:
            minutes = self._minutes[metric]
            for old in [each for each in minutes if each <= now - KEPT_MINUTES]:
                del minutes[old]
            minute = minutes.setdefault(now, _Minute())
            for value in values:
                minute.total += value
                minute.largest = max(minute.largest, value)

    def take(self, line: str) -> None:
        """Note what a line in the embedded metric format says; any other line says nothing."""
        try:
            found = json.loads(line)
        except ValueError:
            return
        for each in found.get("_aws", {}).get("CloudWatchMetrics", ()) if isinstance(found, dict) else ():
            self._take(found, each)

    def over(self, metric: Metric, statistic: str, after: int, until: int) -> float | None:
        """The `Sum` or the `Maximum` of a metric in the minutes after one until another; None if none was."""
        with self._lock:
            found = [m for minute, m in self._minutes.get(metric, {}).items() if after < minute <= until]
        if not found:
            return None
        return sum(each.total for each in found) if statistic == "Sum" else max(each.largest for each in found)

    def _take(self, found: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        for names in told["Dimensions"]:
            dimensions = frozenset((name, str(found[name])) for name in names)
            for each in told["Metrics"]:
                value = found[each["Name"]]
                self.add(
                    Metric(told["Namespace"], each["Name"], dimensions),
                    value if isinstance(value, list) else [value],
                )
