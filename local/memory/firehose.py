"""Amazon Data Firehose in memory: what Direct PUT takes, within its limits."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from local.memory.errors import AwsError, invalid
from local.memory.operations import Operations, operation

MAX_RECORDS = 500
MAX_RECORD_BYTES = 1_024_000
MAX_BYTES = 4 * 1024 * 1024
"""All from the Firehose API reference, PutRecordBatch."""


class Streams(Operations):
    """Delivery streams by name; thread-safe. refuse: says of a record's data whether it is not taken."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._taken: dict[str, list[bytes]] = {}
        self.refuse: Callable[[bytes], bool] = lambda data: False
        self.billed: dict[str, int] = defaultdict(int)
        """The bytes that are paid for: of each record up to the next 5 KB (Firehose pricing)."""

    def adopt(self, name: str) -> None:
        """Play a delivery stream from now on, empty."""
        self._taken[name] = []

    def taken(self, name: str) -> list[bytes]:
        """The records that a stream has taken, in their order."""
        with self._lock:
            return list(self._taken[name])

    @operation("DeliveryStreamName", "Records")
    def _put_record_batch(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        name, records = asked["DeliveryStreamName"], [bytes(each["Data"]) for each in asked["Records"]]
        if not 1 <= len(records) <= MAX_RECORDS:
            raise invalid(f"Member must have length between 1 and {MAX_RECORDS}")
        if max(map(len, records)) > MAX_RECORD_BYTES or sum(map(len, records)) > MAX_BYTES:
            raise AwsError("InvalidArgumentException", "Records size exceeds 4 MB limit, or a record 1000 KiB")
        with self._lock:
            if name not in self._taken:
                raise AwsError("ResourceNotFoundException", f"Firehose {name} not found")
            answers = [self._put(name, data) for data in records]
        return {"FailedPutCount": sum("ErrorCode" in each for each in answers), "RequestResponses": answers}

    def _put(self, name: str, data: bytes) -> dict[str, str]:
        if self.refuse(data):
            return {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
        self._taken[name].append(data)
        self.billed[name] += -(-len(data) // 5120) * 5120
        return {"RecordId": str(len(self._taken[name]))}
