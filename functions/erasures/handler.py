"""Goes on with erasures."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.erasures.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS message; returns the partial batch response."""
    return deps().run(event, lambda: context.get_remaining_time_in_millis() / 1000)


start(deps)
