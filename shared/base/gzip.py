"""Packs and unpacks gzip as it streams by, in flat memory. Pure: no I/O."""

import zlib
from collections.abc import Iterable, Iterator

_GZIP = 31
"""Window bits by which zlib reads and writes gzip's own head and checksum."""
_PIECE = 1024 * 1024


def packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces as one gzip member."""
    packer = zlib.compressobj(wbits=_GZIP)
    for piece in pieces:
        if found := packer.compress(piece):
            yield found
    yield packer.flush()


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is in a gzip file of one or more members, in pieces of at most a megabyte.

    Raises: zlib.error if it is damaged; EOFError if it ends too early.
    """
    member = zlib.decompressobj(_GZIP)
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
    if not member.eof:
        raise EOFError
