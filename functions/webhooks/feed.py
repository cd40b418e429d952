"""Makes deliveries of the events on the stream."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.webhooks.deps import feed_deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one Kinesis batch; returns the partial batch response."""
    feed_deps().run(event)
    return {"batchItemFailures": []}


start(feed_deps)
