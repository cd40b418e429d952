"""Looks into the mailboxes that bounces come to, every ten minutes."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from functions.mailboxes.deps import deps
from shared.errors import UnavailableError
from shared.wiring.starting import start

logger = Logger()


class LookError(UnavailableError):
    """Looks into mailboxes broke off in a way that nobody foresaw; the others are done."""


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: Any) -> None:
    """Look into each mailbox that is due. Raises: LookError, after the metrics are written."""
    parts = deps()
    looked = parts.reader.run(context.get_remaining_time_in_millis)
    logger.info("mailboxes", bounces=looked.bounces, problems=looked.problems, failed=looked.failed, left=looked.left)
    metrics = parts.metrics
    metrics.add_dimension(name="deployment", value=parts.deployment)
    metrics.add_metric(name="BouncesRead", unit=MetricUnit.Count, value=looked.bounces)
    metrics.add_metric(name="MailboxProblems", unit=MetricUnit.Count, value=looked.problems)
    metrics.add_metric(name="MailboxesFailed", unit=MetricUnit.Count, value=looked.failed)
    metrics.flush_metrics()
    if looked.broken:
        raise LookError(f"{looked.broken} looks broke off")


start(deps)
