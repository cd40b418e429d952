"""Takes callbacks: what providers say, at an account's own URL, of messages after they took them.

Nothing of the path is logged: its last part opens the way.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.callbacks.answering import Taken, as_response
from functions.callbacks.deps import CallbacksDeps, deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    parts = deps()
    taken = parts.callbacks.run(event)
    if taken.answered.status >= 400:
        _count(parts, taken)
    return as_response(taken.answered)


def _count(parts: CallbacksDeps, taken: Taken) -> None:
    """Count what got no good answer; what led to an account also for the alarm: who guesses URLs calls nobody."""
    _tell(parts.metrics, "CallbacksRefused", "provider", taken.provider or "none")
    if taken.provider is not None:
        _tell(parts.metrics, "CallbacksFailed", "deployment", parts.deployment)


def _tell(metrics: EphemeralMetrics, name: str, dimension: str, value: str) -> None:
    metrics.add_dimension(name=dimension, value=value)
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


start(deps)
