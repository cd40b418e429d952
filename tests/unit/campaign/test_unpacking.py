"""gzip is unpacked as it streams by."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.failures import RunFailedError
from functions.campaign.unpacking import unpacked


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.integers(1, 60), st.booleans())
def test_all_members_are_unpacked_however_they_arrive(members: list[bytes], size: int, padded: bool) -> None:
    packed = b"".join(gzip.compress(member, mtime=0) for member in members) + b"\0" * (7 if padded else 0)

    assert b"".join(unpacked(packed[i : i + size] for i in range(0, len(packed), size))) == b"".join(members)


def test_a_bomb_is_unpacked_piece_by_piece() -> None:
    packed = gzip.compress(b"a\n" * 100_000_000, 1, mtime=0)
    tracemalloc.start()
    size = sum(len(piece) for piece in unpacked([packed]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size == 200_000_000
    assert peak < 8_000_000


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (gzip.compress(b"to\na\n" * 50, mtime=0)[:-9], "ends too early"),
        (gzip.compress(b"to\na\n", mtime=0) + b"rest", "is damaged"),
        (b"\x1f\x8b" + b"x" * 20, "is damaged"),
        (gzip.compress(b"to\na\n", mtime=0)[:-8] + b"\0" * 8, "is damaged"),
    ],
)
def test_a_broken_file_fails_the_run(packed: bytes, words: str) -> None:
    with pytest.raises(RunFailedError, match=words):
        list(unpacked([packed]))
