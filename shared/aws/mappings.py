"""The event source mappings of the queues: how many functions work on a queue at the same time."""

from collections.abc import Mapping
from typing import Any


class QueueMappings:
    """Changes mappings while they run. ids: queue, such as `email.marketing`, to its mapping's UUID."""

    def __init__(self, client: Any, ids: Mapping[str, str]) -> None:
        self._client = client
        self._ids = ids

    def limit(self, concurrency: Mapping[str, int]) -> None:
        """Have at most so many functions, 2 to 1,000, work on each of the queues named; done again it changes nothing.

        Lambda takes it up within some seconds. Raises: what the client raises.
        """
        for queue, count in concurrency.items():
            self._client.update_event_source_mapping(UUID=self._ids[queue], ScalingConfig={"MaximumConcurrency": count})
