"""Puts the events of the stream into the archive."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.archive.deps import deps
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one Kinesis batch; returns the partial batch response."""
    return deps().run(event)


start(deps)
