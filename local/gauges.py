"""Measures what the alarms ask of this moment: what queues hold, and how far behind readers of the stream are."""

from collections.abc import Iterable
from typing import Any

from local.deployment import Deployment
from local.metrics import Metric
from local.pollers import Poller
from local.sources import Sources
from local.stream_pollers import ShardPoller
from shared.model.clock import Clock

_DEPTHS = {
    "ApproximateNumberOfMessagesVisible": "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
}
"""CloudWatch's names, and those of SQS."""


class Gauges:
    """Call it with a metric. sqs: its requests are not counted. pollers: those of the stack, also when they change."""

    def __init__(
        self, deployment: Deployment, sqs: Any, pollers: Iterable[Poller], sources: Sources, clock: Clock
    ) -> None:
        self._urls = {url.rpartition("/")[2]: url for url in deployment.queues.values()}
        self._functions = {each.physical_name: each.name for each in deployment.functions.values()}
        self._sqs = sqs
        self._pollers = pollers
        self._sources = sources
        self._clock = clock

    def __call__(self, metric: Metric) -> float | None:
        """What is measured; None for what is not known here."""
        dimensions = dict(metric.dimensions)
        if metric.name == "IteratorAge":
            return self._behind_ms(self._functions[dimensions["FunctionName"]])
        url = self._urls.get(dimensions.get("QueueName", ""))
        if url is None:
            return None
        if metric.name == "ApproximateAgeOfOldestMessage":
            sent = self._sources.oldest_sent_ms(url)
            return 0.0 if sent is None else (self._clock.now_ms() - sent) / 1000
        name = _DEPTHS[metric.name]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return float(found["Attributes"][name])

    def _behind_ms(self, function: str) -> float:
        readers = [
            each for each in self._pollers if isinstance(each, ShardPoller) and each.mapping.function == function
        ]
        return max((each.behind_ms() for each in readers), default=0.0)
