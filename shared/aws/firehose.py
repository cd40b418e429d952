"""Puts records into the archive's delivery stream (Amazon Data Firehose)."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

MAX_RECORDS = 500
"""Of a call (Firehose API reference, PutRecordBatch)."""
MAX_BYTES = 4_000_000
"""Of a call, which takes 4 MiB (the same)."""
MAX_RECORD_BYTES = 1_000_000
"""Of a record, which may have 1,000 KiB (the same)."""
TRIES = 5
FIRST_WAIT_S = 0.1


class Firehose:
    """Puts records in their order. sleep: waits, in seconds."""

    def __init__(self, client: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def put(self, records: Sequence[bytes]) -> int | None:
        """Put records; each has at most `MAX_RECORD_BYTES`. What is not taken is tried again, each time later.

        Returns the place of the first that was not taken after all; of those after it, some may have been. None if all
        were. Raises: what the client raises, if nothing of a call was taken.
        """
        for places in _calls(records):
            left = self._put(records, places)
            if left:
                return left[0]
        return None

    def _put(self, records: Sequence[bytes], places: list[int]) -> list[int]:
        """The places of those that were not taken."""
        for tried in range(TRIES):
            if tried:
                self._sleep(random.uniform(0.5, 1) * FIRST_WAIT_S * 2**tried)  # noqa: S311 - spreads calls, no secret
            entries = [{"Data": records[place]} for place in places]
            answer = self._client.put_record_batch(DeliveryStreamName=self._name, Records=entries)
            if not answer["FailedPutCount"]:
                return []
            # The answer is in the request's order (Firehose API reference, PutRecordBatch).
            results = zip(places, answer["RequestResponses"], strict=True)
            places = [place for place, result in results if result.get("ErrorCode")]
        return places


def _calls(records: Sequence[bytes]) -> Iterator[list[int]]:
    """The places of the records of each call."""
    places: list[int] = []
    taken = 0
    for place, record in enumerate(records):
        if places and (len(places) == MAX_RECORDS or taken + len(record) > MAX_BYTES):
            yield places
            places, taken = [], 0
        places.append(place)
        taken += len(record)
    if places:
        yield places
