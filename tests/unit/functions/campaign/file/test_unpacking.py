"""gzip is unpacked as it streams by."""

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.file import unpacking
from functions.campaign.file.failures import RunFailedError
from functions.campaign.file.unpacking import FREE_BYTES, MAX_RATIO, limited, unpacked


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


@pytest.mark.parametrize(("packed", "most"), [(1, FREE_BYTES), (80_000, FREE_BYTES), (80_001, 80_001 * MAX_RATIO)])
def test_what_is_packed_becomes_so_much_and_no_more(packed: int, most: int) -> None:
    halves = [b"a" * (most // 2), b"a" * (most - most // 2)]
    assert [len(piece) for piece in limited(halves, packed)] == [len(half) for half in halves]
    with pytest.raises(RunFailedError, match=f"of {packed:,} bytes becomes more than {most:,} bytes"):
        list(limited([*halves, b"a"], packed))


def test_no_file_becomes_larger_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_BYTES", 1000)
    assert len(list(limited([b"a" * 1000], 500))) == 1
    with pytest.raises(RunFailedError, match="more than 1,000 bytes"):
        list(limited([b"a" * 1000, b"a"], 500))
