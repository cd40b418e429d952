"""Plays the part of Lambda that changes event source mappings while they run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

from local.pollers import QueuePoller


@contextmanager
def played(pollers: Mapping[str, QueuePoller]) -> Iterator[None]:
    """Answer UpdateEventSourceMapping of all clients within the block. pollers: by the mapping's id."""
    pass_on = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation != "UpdateEventSourceMapping":
            return pass_on(client, operation, parameters)
        poller = pollers.get(parameters["UUID"])
        if poller is None:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": "There is no such mapping."}}
            raise client.exceptions.ResourceNotFoundException(error, operation)
        poller.limit(parameters["ScalingConfig"]["MaximumConcurrency"])
        return {"UUID": parameters["UUID"], "State": "Updating"}

    with patch.object(BaseClient, "_make_api_call", call):
        yield
