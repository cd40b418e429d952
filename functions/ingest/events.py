"""Accepts messages that events ask for: those put on the bus with the detail type `mePush send`."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.ingest.deps import events_deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Carry out one event. Raises: consumer.EventNotAcceptedError, upon which Lambda tries again."""
    return events_deps().run(event, context.aws_request_id, context.invoked_function_arn)


start(events_deps)
