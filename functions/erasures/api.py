"""Has people forgotten, and says how far that is."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.erasures.deps import api_deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    return api_deps()(event)


start(api_deps)
