"""Audience files are cut between rows, whatever is in them and however they arrive."""

import csv
import io
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mepush.sheets.cutting import MAX_RECORD, Cut, Cutter, cut
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat

# Not only what a well-behaved writer writes: quotes may stand anywhere.
_WILD = st.text(alphabet='a,"\n\r', max_size=60)
_CELLS = st.text(alphabet='aé李,;"\n\r \u2028', max_size=6)
_SPLITS = st.lists(st.integers(0, 400), max_size=8)


def cuts_of(data: bytes, splits: Sequence[int], rows: int = 10_000, size: int = 16_000_000) -> list[Cut]:
    """Cut a CSV that arrives in pieces."""
    cutter = Cutter(FileFormat.CSV, rows=rows, size=size)
    edges = [0, *sorted(min(s, len(data)) for s in splits), len(data)]
    found = []
    for start, end in pairwise(edges):
        found += cutter.feed(data[start:end])
    return [*found, *cutter.finish()]


def records_of(text: str) -> list[list[str]]:
    """The rows by the csv module."""
    return list(csv.reader(io.StringIO(text, newline="\n")))


@given(_WILD, _SPLITS, st.integers(1, 5), st.integers(1, 30))
def test_rows_end_where_the_csv_module_ends_them(text: str, splits: list[int], rows: int, size: int) -> None:
    try:
        expected = records_of(text)
        list(csv.reader(io.StringIO(text, newline="\n"), strict=True))
    except csv.Error:
        return  # a lone carriage return, or a quote that is never closed
    data = text.encode()

    found = cuts_of(data, splits, rows=rows, size=size)

    assert [found[0].start, *(c.end for c in found)] == [*(c.start for c in found), len(data)] if found else not data
    pieces = [records_of(data[c.start : c.end].decode()) for c in found]
    assert [row for piece in pieces for row in piece] == expected
    assert [len(piece) for piece in pieces] == [c.rows for c in found]
    first = 1
    for c, piece in zip(found, pieces, strict=True):
        assert c.first_row == first
        first += c.rows
        assert c.rows <= rows
        lengths = [len(data[b.start : b.end]) for b in cut(data[c.start : c.end], FileFormat.CSV, ",", 1)]
        assert len(lengths) == len(piece)
        assert sum(lengths[:-1]) < size  # the last row is the one that reaches it
        if c is not found[-1]:
            assert c.rows == rows or c.end - c.start >= size


@given(st.lists(st.lists(_CELLS, min_size=1, max_size=4), max_size=12), _SPLITS, st.booleans(), st.integers(1, 5))
def test_what_a_writer_writes_is_cut_between_rows(
    rows: list[list[str]], splits: list[int], quoted: bool, most: int
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)
    data = buffer.getvalue().encode()

    found = cuts_of(data, splits, rows=most, size=10**9)

    assert [row for c in found for row in records_of(data[c.start : c.end].decode())] == rows
    assert [c.rows for c in found[:-1]] == [most] * (len(found) - 1)


@given(st.binary(max_size=80), _SPLITS, st.integers(1, 5))
def test_lines_are_cut_at_line_feeds_alone(data: bytes, splits: list[int], most: int) -> None:
    cutter = Cutter(FileFormat.NDJSON, rows=most)
    found = [*cutter.feed(data[: len(data) // 2]), *cutter.feed(data[len(data) // 2 :]), *cutter.finish()]

    assert b"".join(data[c.start : c.end] for c in found) == data
    assert sum(c.rows for c in found) == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


@pytest.mark.parametrize("rows", [1, 7, 100, 3333])
def test_a_large_piece_is_cut_into_just_so_many_rows(rows: int) -> None:
    line = [b"%d,%s\n" % (i, b"x" * (i % 300)) for i in range(10_000)]
    data = b"".join(line)

    found = cut(data, FileFormat.CSV, ",", rows)

    assert [data[c.start : c.end] for c in found] == [b"".join(line[i : i + rows]) for i in range(0, 10_000, rows)]


def fails(chunks: Sequence[bytes]) -> str:
    """Why a CSV that arrives in these pieces cannot be cut."""
    cutter = Cutter(FileFormat.CSV)
    with pytest.raises(SheetError) as failed:
        for chunk in chunks:
            cutter.feed(chunk)
        cutter.finish()
    return failed.value.problem


@pytest.mark.parametrize("size", [1000, 65_536, 5_000_000])
@pytest.mark.parametrize("filler", [b"x" * 70, b"x" * 69 + b"\n"], ids=["one line", "lines"])
def test_a_row_without_end_fails_the_run_before_it_fills_the_memory(size: int, filler: bytes) -> None:
    data = b"a,b\n" * 5 + b'c,"' + filler * 30_000 + b"\n"

    problem = fails([data[i : i + size] for i in range(0, len(data), size)])

    assert problem.startswith("Row 7 is longer than 1,000,000 bytes: probably a quote opens there and is never closed.")


def test_a_long_row_among_others_is_found_in_whatever_chunk_it_comes() -> None:
    ok = b"a" * (MAX_RECORD - 1) + b"\n"
    assert [c.rows for c in cuts_of(b"b\n" + ok + b"b\n" + ok, [])] == [4]
    data = b"b\n" * 3 + b"a" + ok + b"b\n" * 3

    for size in (100_000, len(data)):
        assert fails([data[i : i + size] for i in range(0, len(data), size)]).startswith("Row 5 is longer")


def test_a_quote_that_is_open_at_the_end_fails_the_run() -> None:
    assert fails([b'a,"b\n"\n', b'c,"d\ne,f\n']).startswith("Row 3 opens a quote that is never closed")


def test_a_long_line_of_json_is_named_by_the_number_of_its_line() -> None:
    with pytest.raises(SheetError) as failed:
        Cutter(FileFormat.NDJSON).feed(b"{}\n" * 3 + b"a" * MAX_RECORD + b"\n")
    assert failed.value.problem.startswith("Row 4 is longer")
