"""Unpacks gzip as it streams by, in flat memory, however much it becomes. Pure: no I/O."""

import zlib
from collections.abc import Iterable, Iterator

from functions.campaign.file.failures import RunFailedError
from shared.base.gzip import unpacked as members

MAGIC = b"\x1f\x8b"
MAX_BYTES = 20 * 1024**3
MAX_RATIO = 200
FREE_BYTES = 16_000_000
"""What a file may become: so many bytes, and beyond the last so many times its own. Rows of people are packed to a
tenth or a fiftieth; what is packed to a thousandth is no list, and would cost its reader far more than its sender."""


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is packed in a gzip file of one or more members, in pieces of at most a megabyte.

    Raises: RunFailedError if the file is damaged or ends too early.
    """
    try:
        yield from members(pieces)
    except zlib.error:
        raise RunFailedError("The gzip file is damaged. Pack it anew and upload it again.") from None
    except EOFError:
        raise RunFailedError("The gzip file ends too early. Upload it again, whole.") from None


def limited(pieces: Iterable[bytes], packed: int) -> Iterator[bytes]:
    """The same pieces, as long as they are not too much for a file of so many packed bytes. Raises: RunFailedError."""
    most, taken = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed)), 0
    for piece in pieces:
        taken += len(piece)
        if taken > most:
            raise RunFailedError(
                f"The gzip file of {packed:,} bytes becomes more than {most:,} bytes: at most {MAX_BYTES:,}, and at "
                f"most {MAX_RATIO} times its own size, are unpacked. Divide it, or upload it as it is."
            )
        yield piece
