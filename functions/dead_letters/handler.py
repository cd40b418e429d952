"""Keeps what the dead-letter queues hold."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from functions.dead_letters.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one batch of a dead-letter queue; returns the partial batch response."""
    consumer = deps()
    taken = consumer.keeper.run(event)
    if taken.letters:
        metrics = consumer.metrics
        # A mapping's batch is of one queue.
        metrics.add_dimension(name="queue", value=event["Records"][0]["eventSourceARN"].rpartition(":")[2])
        metrics.add_metric(name="DeadLetters", unit=MetricUnit.Count, value=taken.letters)
        metrics.flush_metrics()
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in taken.failed]}


start(deps)
