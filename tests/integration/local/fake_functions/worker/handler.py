"""Does what the test says."""

from typing import Any

from tests.integration.local.script import SCRIPT

from .deps import deps


def lambda_handler(event: Any, context: Any) -> Any:
    """Call the test's function with the event, the context and what `deps` kept."""
    return SCRIPT["worker"](event, context, deps())
