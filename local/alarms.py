"""What the deployment's alarms say of the local stack: CloudWatch's part, for functions, queues and our own metrics.

A period ends now, and begins with the whole minute in which it begins. What a queue holds is known of this moment
alone, so an alarm on it does not wait for several periods in a row.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local.metrics import MINUTE_MS, Metric, Metrics
from shared.model.clock import Clock

State = Literal["OK", "ALARM", "UNKNOWN"]
Gauge = Callable[[Metric], float | None]
"""Measures something at this moment; None if it cannot be measured here."""

GAUGES = frozenset({"AWS/SQS", "AWS/Firehose"})
"""Namespaces of which no past is kept."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm. metrics: their sum counts, each by its statistic; period_s: of `periods` in a row. below: it is an
    alarm if less than the threshold is measured, or nothing."""

    name: str
    description: str
    metrics: tuple[tuple[Metric, str], ...]
    period_s: int
    periods: int
    threshold: float
    below: bool


def alarm_of(properties: Mapping[str, Any]) -> Alarm:
    """An alarm by the properties of an `AWS::CloudWatch::Alarm`, worked out."""
    measured = [each["MetricStat"] for each in properties.get("Metrics", ()) if "MetricStat" in each] or [
        {"Metric": properties, "Period": properties["Period"], "Stat": properties["Statistic"]}
    ]
    return Alarm(
        name=properties["AlarmName"],
        description=properties["AlarmDescription"],
        metrics=tuple((_metric(each["Metric"]), each["Stat"]) for each in measured),
        period_s=int(measured[0]["Period"]),
        periods=int(properties["EvaluationPeriods"]),
        threshold=float(properties["Threshold"]),
        below=properties["ComparisonOperator"] == "LessThanThreshold",
    )


def _metric(given: Mapping[str, Any]) -> Metric:
    dimensions = frozenset((each["Name"], str(each["Value"])) for each in given.get("Dimensions", ()))
    return Metric(given["Namespace"], given["MetricName"], dimensions)


class Alarms:
    """gauge: measures what is known of this moment alone, and how old the stream's records are that wait."""

    def __init__(self, alarms: Sequence[Alarm], metrics: Metrics, gauge: Gauge, clock: Clock) -> None:
        self._alarms = {each.name: each for each in alarms}
        self._metrics = metrics
        self._gauge = gauge
        self._clock = clock

    @property
    def names(self) -> list[str]:
        """Of all alarms."""
        return sorted(self._alarms)

    def state(self, name: str) -> State:
        """What an alarm says now. Raises: KeyError."""
        alarm = self._alarms[name]
        periods = 1 if alarm.metrics[0][0].namespace in GAUGES else alarm.periods
        values = [self._value(alarm, nth) for nth in range(periods)]
        if any(value is None for value in values):
            return "UNKNOWN"
        if alarm.below:
            return "ALARM" if all(value < alarm.threshold for value in values if value is not None) else "OK"
        return "ALARM" if all(value > alarm.threshold for value in values if value is not None) else "OK"

    def raised(self) -> Iterator[Alarm]:
        """The alarms that are on now."""
        return (alarm for name, alarm in sorted(self._alarms.items()) if self.state(name) == "ALARM")

    def page(self) -> tuple[str, bytes]:
        """What `/_local/alarms` shows: the alarms that are on, and how many there are."""
        raised = [{"name": each.name, "description": each.description} for each in self.raised()]
        unknown = [name for name in self.names if self.state(name) == "UNKNOWN"]
        found = {"alarms": len(self._alarms), "raised": raised, "not_known_here": unknown}
        return "application/json", json.dumps(found).encode()

    def _value(self, alarm: Alarm, nth: int) -> float | None:
        """What was measured in the last period (0), or one before it; None if that is not known here."""
        end = self._clock.now_ms() - 1000 * nth * alarm.period_s
        total = 0.0
        for metric, statistic in alarm.metrics:
            if metric.namespace in GAUGES or metric.name == "IteratorAge":
                now = self._gauge(metric)
                if now is None:
                    return None
                total += now
            else:
                first = (end - 1000 * alarm.period_s) // MINUTE_MS
                total += self._metrics.over(metric, statistic, first - 1, end // MINUTE_MS) or 0.0
        return total
