"""Asks providers for receipts that no callback brought, every ten minutes."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from functions.pulling.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: Any) -> None:
    """Ask for all accounts that want it, once."""
    parts = deps()
    asked = parts.asker.run(context.get_remaining_time_in_millis)
    if asked.failed or asked.unasked:
        logger.info("receipts asked for", told=asked.told, failed=len(asked.failed), unasked=asked.unasked)
        parts.metrics.add_dimension(name="deployment", value=parts.deployment)
        parts.metrics.add_metric(name="PullsFailed", unit=MetricUnit.Count, value=len(asked.failed) + asked.unasked)
        parts.metrics.flush_metrics()


start(deps)
