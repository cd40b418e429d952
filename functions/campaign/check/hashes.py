"""How a shard's addresses are kept for comparing: 64 bits of each tag, sorted, so that any share of them is one range.

An object is, all in little-endian order:

| part | bytes |
|---|---|
| how many addresses are in each bucket | 4 per bucket |
| the rows that repeat an address within the shard, a bit each | 1 per 8 rows |
| per bucket: its hashes in order, then row and flags of each | 8 and 4 per address |

A bucket is an equal share of all hashes, the same in every shard of a run. Pure: no I/O.
"""

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from shared.model.ids import ALPHABET

PER_BUCKET = 2_000_000
"""Hashes of a bucket, about: a set of so many takes some 200 MB."""
HELD_OUT, SUPPRESSED = 1, 2
_DIGITS = str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_ROW_SHIFT = 2
_ENTRY_BYTES = 12

Entry = tuple[int, int, int]
"""The hash of an address, its row within the shard, and the flags."""


def address_hash(tag: str) -> int:
    """64 bits of a tag, which is itself a hash: its first 12 characters and four bits of the next."""
    return int(tag[:13].translate(_DIGITS), 32) >> 1


def buckets_for(rows: int, per_bucket: int = PER_BUCKET) -> int:
    """Into how many buckets the hashes of a run of so many rows are divided."""
    return max(1, -(-rows // per_bucket))


def bits_for(rows: int) -> bytearray:
    """A bit for each of so many rows, none of them set."""
    return bytearray((rows + 7) // 8)


def set_bit(bits: bytearray, row: int) -> None:
    """Mark a row."""
    bits[row >> 3] |= 1 << (row & 7)


def has_bit(bits: bytes, row: int) -> bool:
    """Whether a row is marked."""
    return bool(bits[row >> 3] >> (row & 7) & 1)


@dataclass(frozen=True, slots=True)
class Head:
    """What an object begins with."""

    offsets: tuple[int, ...]
    """Where each bucket begins, and the end."""
    repeated: bytes
    """Rows within the shard."""

    def span(self, bucket: int) -> tuple[int, int]:
        """The bytes of a bucket, without the end."""
        return self.offsets[bucket], self.offsets[bucket + 1]


def pack(entries: Sequence[Entry], repeated: bytes, buckets: int) -> bytes:
    """The object of a shard. entries: of distinct addresses, in any order."""
    grouped: list[list[Entry]] = [[] for _ in range(buckets)]
    for entry in sorted(entries):
        grouped[entry[0] * buckets >> 64].append(entry)
    parts = [struct.pack(f"<{buckets}I", *map(len, grouped)), repeated]
    for group in grouped:
        parts.append(struct.pack(f"<{len(group)}Q", *(hash for hash, _, _ in group)))
        parts.append(struct.pack(f"<{len(group)}I", *(row << _ROW_SHIFT | flags for _, row, flags in group)))
    return b"".join(parts)


def head_bytes(rows: int, buckets: int) -> tuple[int, int]:
    """Where the bits of the repeated rows begin in an object of so many rows, and where they end."""
    return 4 * buckets, 4 * buckets + (rows + 7) // 8


def read_head(data: bytes, buckets: int) -> Head:
    """The head of an object. data: its bytes up to the end of the bits."""
    counts = struct.unpack_from(f"<{buckets}I", data)
    return Head(tuple(accumulate((count * _ENTRY_BYTES for count in counts), initial=len(data))), data[4 * buckets :])


def read_hashes(data: bytes) -> tuple[int, ...]:
    """The hashes of a bucket's bytes, in order."""
    return struct.unpack_from(f"<{len(data) // _ENTRY_BYTES}Q", data)


def rows_of(data: bytes, wanted: set[int]) -> list[tuple[int, int]]:
    """(row, flags) of the wanted hashes in a bucket's bytes."""
    count = len(data) // _ENTRY_BYTES
    rows = struct.unpack_from(f"<{count}I", data, 8 * count)
    return [
        (row >> _ROW_SHIFT, row & (1 << _ROW_SHIFT) - 1)
        for hash, row in zip(read_hashes(data), rows, strict=True)
        if hash in wanted
    ]


def kinds(flags: Sequence[int]) -> Counter[str]:
    """How many rows with such flags are good, held out, and suppressed among the good, as a tally counts them."""
    held_out = sum(1 for each in flags if each & HELD_OUT)
    suppressed = sum(1 for each in flags if each & SUPPRESSED)
    return Counter(good=len(flags) - held_out, held_out=held_out, suppressed=suppressed)
