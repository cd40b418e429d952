"""Unpacks gzip as it streams by, in flat memory, however much it becomes. Pure: no I/O."""

import zlib
from collections.abc import Iterable, Iterator

from functions.campaign.failures import RunFailedError

MAGIC = b"\x1f\x8b"
_GZIP = 31
"""Window bits by which zlib reads gzip's own head and checksum."""
_PIECE = 1024 * 1024


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is packed in a gzip file of one or more members, in pieces of at most a megabyte.

    Raises: RunFailedError if the file is damaged or ends too early.
    """
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            left = piece
            while left:
                if member.eof:
                    # Zeros may fill up the place after a member, as on tapes (gzip manual, "Tapes").
                    left = left.lstrip(b"\0")
                    member = zlib.decompressobj(_GZIP) if left else member
                    continue
                if found := member.decompress(left, _PIECE):
                    yield found
                left = member.unused_data if member.eof else member.unconsumed_tail
        if found := member.flush():
            yield found
    except zlib.error:
        raise RunFailedError("The gzip file is damaged. Pack it anew and upload it again.") from None
    if not member.eof:
        raise RunFailedError("The gzip file ends too early. Upload it again, whole.")
