"""Accepts messages: `POST /v1/messages`."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.ingest.deps import deps
from shared.policy.sealing import LIBRARY
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    return deps()(event)


start(deps, ahead=(LIBRARY,))
