"""Takes receipts: what providers say of messages after they took them."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.receipts.deps import deps
from functions.receipts.receiving import Received
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one batch of the queue `receipts`; returns the partial batch response."""
    parts = deps()
    received = parts.receiver.run(event)
    for provider, number in received.unmatched.items():
        _count(parts.metrics, "ReceiptsUnmatched", number, "provider", provider)
    for account, number in received.unchanged.items():
        _count(parts.metrics, "CardsNotChanged", number, "account", account)
    for account, number in received.unreported.items():
        _count(parts.metrics, "ReportsRefused", number, "account", account)
    for source, number in received.notices.items():
        logger.info("no receipt", source=source, messages=number)
        _count(parts.metrics, "TestMessages", number, "source", source)
    for alert in received.alerts:
        account = f"{alert.tenant}/{alert.account}"
        logger.warning("account_alert", account=account, provider=alert.provider, said=alert.event)
        _count(parts.metrics, "ProviderAlerts", 1, "account", account)
    return _answer(received)


def _count(metrics: EphemeralMetrics, name: str, number: int, dimension: str, value: str) -> None:
    metrics.add_dimension(name=dimension, value=value)
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
    metrics.flush_metrics()


def _answer(received: Received) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in received.failed]}


start(deps)
