"""Leads recipients on by the links of tracked messages, and serves the picture that tells that they were opened.

Nothing of the path is logged: it says which message it is.
"""

from typing import Any

from aws_lambda_powertools import Logger

from functions.engagement.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    return deps().run(event)


start(deps)
