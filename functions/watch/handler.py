"""Looks for what got stuck, every five minutes."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from functions.watch.deps import deps
from shared.errors import UnavailableError
from shared.wiring.starting import start

logger = Logger()


class SweepError(UnavailableError):
    """Parts of a sweep broke off; the others are done."""


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: Any) -> None:
    """Sweep once. Raises: SweepError, after the mark and the metrics are written."""
    watch = deps()
    mark = watch.sweep.run(context.get_remaining_time_in_millis)
    logger.info("sweep", found=mark.found, mended=mark.mended, milliseconds=mark.ms, unfinished=mark.unfinished)
    metrics = watch.metrics
    metrics.add_dimension(name="deployment", value=watch.deployment)
    metrics.add_metric(name="Sweeps", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="InFlightTooLong", unit=MetricUnit.Count, value=mark.too_long)
    metrics.add_metric(name="Mended", unit=MetricUnit.Count, value=sum(mark.mended.values()))
    metrics.flush_metrics()
    for account, number in mark.no_receipt.items():
        metrics.add_dimension(name="deployment", value=watch.deployment)
        metrics.add_dimension(name="account", value=account)
        metrics.add_metric(name="NoReceipt", unit=MetricUnit.Count, value=number)
        metrics.flush_metrics()
    if mark.failed:
        raise SweepError(", ".join(mark.failed))


start(deps)
