"""Delivers events to tenants' endpoints."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from functions.webhooks.deps import send_deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one batch of the queue `webhooks`; returns the partial batch response."""
    parts = send_deps()
    sent = parts.sender.run(event)
    if sent.paused:
        parts.metrics.add_dimension(name="deployment", value=parts.deployment)
        parts.metrics.add_metric(name="WebhooksPaused", unit=MetricUnit.Count, value=sent.paused)
        parts.metrics.flush_metrics()
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sent.failed]}


start(send_deps)
