"""Does the tasks of campaigns' runs."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.campaign.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS batch; returns the partial batch response."""
    return deps().run(event, context)


start(deps)
