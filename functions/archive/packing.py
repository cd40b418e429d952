"""Packs events into records of Firehose: as many as go into one, since it is paid for by 5 KB of each record. Pure."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from shared.aws.firehose import MAX_RECORD_BYTES
from shared.model import wire
from shared.model.events import StreamRecord
from shared.policy.archive import archived

Numbered = tuple[str, StreamRecord]
"""A record of the stream, with its sequence number."""


class Pack(Struct, frozen=True):
    """A record of Firehose."""

    sequence: str
    """Of the first record of the stream that something in it is of."""
    data: bytes
    """Rows as JSON objects, one behind the other (Firehose developer guide, "Convert input data format")."""


def packed(records: Iterable[Numbered], most: int = MAX_RECORD_BYTES) -> Iterator[Pack]:
    """The rows of records, in their order. most: bytes of a pack; a row has less than 2,000.

    A row that occurs twice in the same batch, as dispatch repeats what expansion said, goes in once.
    """
    rows: list[bytes] = []
    taken, first = 0, ""
    seen: set[bytes] = set()
    for sequence, record in records:
        for values in archived(record):
            row = wire.write(values)
            if row in seen:
                continue
            seen.add(row)
            if rows and taken + len(row) > most:
                yield Pack(first, b"".join(rows))
                rows, taken = [], 0
            if not rows:
                first = sequence
            rows.append(row)
            taken += len(row)
    if rows:
        yield Pack(first, b"".join(rows))
