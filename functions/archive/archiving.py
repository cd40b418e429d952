"""Puts the events of the stream's records into the archive's delivery stream.

Nothing is left out: what Firehose does not take is handed over again by the stream, from the first such record on. Then
events are there twice, as they are when the stream itself repeats them; queries count each event's name once.
"""

import base64
from collections.abc import Iterator
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from functions.archive.packing import Numbered, packed
from shared.model.events import read_record
from shared.model.wire import UnreadableError

logger = Logger(child=True)


class Putting(Protocol):
    """Puts records, see `shared.aws.firehose`."""

    def put(self, records: list[bytes]) -> int | None:
        """Returns the place of the first record that was not taken; None if all were."""


class Archiver:
    """Works on batches of one shard at a time."""

    def __init__(self, firehose: Putting) -> None:
        self._firehose = firehose

    def run(self, event: dict[str, Any]) -> dict[str, Any]:
        """Work on one Kinesis batch; returns the partial batch response. Raises: what the client raises."""
        packs = list(packed(_records(event)))
        left = self._firehose.put([pack.data for pack in packs])
        if left is None:
            return {"batchItemFailures": []}
        logger.warning("events not archived yet", sequence_number=packs[left].sequence)
        return {"batchItemFailures": [{"itemIdentifier": packs[left].sequence}]}


def _records(event: dict[str, Any]) -> Iterator[Numbered]:
    """A record that cannot be read is passed over: the trace sets it aside and tells of it."""
    for raw in event["Records"]:
        sequence = raw["kinesis"]["sequenceNumber"]
        try:
            yield sequence, read_record(base64.b64decode(raw["kinesis"]["data"]))
        except UnreadableError:
            logger.error("record cannot be read", sequence_number=sequence)
