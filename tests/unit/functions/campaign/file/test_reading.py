"""The rows of shards are those of the whole file."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.file.reading import read_rows
from mepush.sheets.cutting import cut
from mepush.sheets.formats import FileFormat
from mepush.sheets.reading import Content, Unreadable
from shared.model.runs import AudienceFile

CSV, NDJSON = FileFormat.CSV, FileFormat.NDJSON
_CELL = st.text(alphabet='ab李,;"\n \u2028\u3000', max_size=5)


def file_of(delimiter: str = ",") -> AudienceFile:
    return AudienceFile(key="k", version="v", size=1, delimiter=delimiter)


def rows_of(data: bytes, format: FileFormat = CSV, delimiter: str = ",") -> list[tuple[int, Content]]:
    return list(read_rows(data, format, file_of(delimiter)))


@given(
    st.lists(st.lists(_CELL, max_size=4), max_size=15),
    st.integers(1, 6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.booleans(),
)
def test_the_rows_of_all_shards_are_those_of_the_file(
    rows: list[list[str]], most: int, ends: str, delimiter: str, quoting: Any, last: bool
) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=ends, quoting=quoting).writerows(rows)
    text = buffer.getvalue()
    data = (text if last else text.removesuffix(ends)).encode()
    whole = list(csv.reader(io.StringIO(data.decode(), newline="\n"), delimiter=delimiter))

    found = []
    for piece in cut(data, CSV, delimiter, most):
        for index, cells in read_rows(data[piece.start : piece.end], CSV, file_of(delimiter)):
            found.append((piece.first_row + index, cells))

    expected = [(number, [cell.strip() for cell in cells]) for number, cells in enumerate(whole, 1)]
    assert found == [(number, cells) for number, cells in expected if any(cells)]


@given(st.lists(st.sampled_from(["a,b", 'x,"y\nz"', "", 'q,"r"s', "u,\udcff", 'm,"n', "c\rd,e", '5" x,y']), max_size=8))
def test_a_row_that_cannot_be_read_takes_no_other_with_it(lines: list[str]) -> None:
    lines = [line.replace('m,"n', 'm,"n"') for line in lines]
    data = "".join(line + "\n" for line in lines).encode(errors="surrogateescape")
    readable = {"a,b": ["a", "b"], 'x,"y\nz"': ["x", "y\nz"], 'm,"n"': ["m", "n"], '5" x,y': ['5" x', "y"]}
    reasons = {'q,"r"s': "not_csv", "u,\udcff": "not_utf8", "c\rd,e": "not_csv"}

    found = dict(rows_of(data))

    assert sorted(found) == [i for i, line in enumerate(lines) if line]
    for i, content in found.items():
        line = lines[i]
        if isinstance(content, Unreadable):
            assert content.reason == reasons[line]
            assert content.text == line.replace("\udcff", "\ufffd") + "\n"
        else:
            assert content == readable[line]


def test_the_invisible_characters_of_spreadsheets_are_no_part_of_a_cell() -> None:
    assert rows_of("\ufeffa ,\u200b b\u3000, \n \u200b,,\u3000\n".encode()) == [(0, ["a", "b", ""])]


def test_rows_keep_their_places_behind_others() -> None:
    assert list(read_rows(b"a,b\n\n\nc,d\n", CSV, file_of(), 700)) == [(700, ["a", "b"]), (703, ["c", "d"])]
    bad = list(read_rows(b'a,"b"x\n\nc,d\n', CSV, file_of(), 700))
    assert [index for index, _ in bad] == [700, 702] and bad[1][1] == ["c", "d"]


def test_a_cell_may_be_as_long_as_a_row() -> None:
    cell = "x" * 900_000
    assert rows_of(f'a,"{cell}"\n'.encode()) == [(0, ["a", cell])]


def test_lines_of_json_are_objects() -> None:
    data = b'{"to": "a", "n": 1.5}\r\n\n  \n{"to": "b", "l": [true, null]}\n{"to": "c"}'
    assert rows_of(data, NDJSON) == [(0, {"to": "a", "n": 1.5}), (3, {"to": "b", "l": [True, None]}), (4, {"to": "c"})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"to": "a"', "not_json"),
        (b'["a"]', "not_json"),
        (b'{"to": NaN}', "not_json"),
        (b'{"to": "\\ud800"}', "not_json"),
        (b"[" * 5000, "not_json"),
        (b'{"to": "\xff"}', "not_utf8"),
    ],
)
def test_a_line_that_is_no_object_is_told_from_the_others(line: bytes, reason: str) -> None:
    found = dict(rows_of(b'{"to": "a"}\n' + line + b'\n{"to": "b"}\n', NDJSON))

    assert found[0] == {"to": "a"} and found[2] == {"to": "b"}
    bad = found[1]
    assert isinstance(bad, Unreadable) and bad.reason == reason
