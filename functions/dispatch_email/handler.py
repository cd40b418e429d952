"""Sends what is queued for the channel email."""

from typing import Any

from aws_lambda_powertools import Logger

from functions.dispatch_email.deps import deps
from shared.model.words import Channel
from shared.policy.sealing import LIBRARY
from shared.providers.table import modules_of
from shared.wiring.starting import start

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one SQS batch; returns the partial batch response."""
    return deps().run(event, context)


# What its providers send with.
start(deps, ahead=(*modules_of(Channel.EMAIL), "boto3", LIBRARY))
