"""What an audience file begins with: the kinds that can be read, and what is said of those that cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.campaign.failures import RunFailedError
from functions.campaign.header import Header, check_columns, find_column, read_header
from shared.model.campaigns import Columns, FileFormat

CSV, NDJSON = FileFormat.CSV, FileFormat.NDJSON


def problem(head: bytes, format: FileFormat = CSV) -> str:
    """Why a whole file cannot be read."""
    with pytest.raises(RunFailedError) as failed:
        read_header(head, format, over=True)
    return failed.value.problem


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"to,name\na@example.com,A\n", Header(("to", "name"), ",", 8)),
        (b"\xef\xbb\xbfto,name\r\na,A\r\n", Header(("to", "name"), ",", 12)),
        (b"to;name,first\n", Header(("to;name", "first"), ",", 14)),
        (b"to;name;city\n", Header(("to", "name", "city"), ";", 13)),
        (b"to\tname\n", Header(("to", "name"), "\t", 8)),
        ("手机号, 名字　,\n".encode(), Header(("手机号", "名字", ""), ",", 22)),
        (b'to,"a ""quoted"" name","two\nlines"\nx', Header(("to", 'a "quoted" name', "two\nlines"), ",", 35)),
        (b"to", Header(("to",), ",", 2)),
    ],
)
def test_the_header_names_the_columns(head: bytes, expected: Header) -> None:
    assert read_header(head, CSV, over=True) == expected


@given(st.integers(0, 40))
def test_a_header_that_arrives_in_pieces_is_the_same(at: int) -> None:
    head = '\ufeffto,"na\nme",城市\r\nrest,of,it\r\n'.encode()
    found = read_header(head[:at], CSV, over=False)

    assert found in (None, read_header(head, CSV, over=True))
    assert read_header(head, CSV, over=False) == Header(("to", "na\nme", "城市"), ",", 22)


def test_lines_of_json_have_no_header() -> None:
    assert read_header(b'\xef\xbb\xbf{"to": "a"}\n', NDJSON, over=False) == Header((), ",", 3)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf \r\n", "The file is empty."),
        ("to,name\n".encode("utf-16"), "The file is UTF-16, which cannot be read. Save it as `CSV UTF-8`"),
        ("to,name\n".encode("utf-16-be"), "no column"),
        (b"PK\x03\x04rest", "an Excel workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0rest", "an Excel workbook"),
        ("to,名字\n".encode("gb18030"), "is not UTF-8; it looks like GB18030 (GBK). Save it as `CSV UTF-8`"),
        (b"to,na\xff\n", "is not UTF-8. Save it"),
        (b"to,name\ra,b\r", "end with a carriage return alone"),
        (b'to,"name\na,b\n', "has no end: probably a quote opens there and is never closed"),
        (b'to,"na"me\na,b\n', "holds text after a closing quote"),
        (b"to,name,name\na,b,c\n", "has the column `name` more than once. Rename all but one"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_to_do(head: bytes, words: str) -> None:
    if words == "no column":  # without a mark it is text of a kind, but names nothing
        header = read_header(head, CSV, over=True)
        assert header is not None and find_column(header.names, "to") is None
    else:
        assert words in problem(head)


def test_an_endless_header_does_not_fill_the_memory() -> None:
    with pytest.raises(RunFailedError, match="has no end"):
        read_header(b"x" * 1_000_002, CSV, over=False)


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    names = ("Customer No", "E-Mail", "name", "")
    check_columns(names, Columns(to="e-mail", reference="customer no", variables={"n": "name"}))

    with pytest.raises(RunFailedError) as failed:
        check_columns(names, Columns())
    assert failed.value.problem == (
        "The file has no column `to`; its columns are: `Customer No`, `E-Mail`, `name`. "
        "Name the right one in the campaign's audience.columns.to, or rename the column."
    )
    with pytest.raises(RunFailedError, match=r"Is it `name`\? Name the right one in .*audience.columns.variables.n"):
        check_columns(names, Columns(to="E-Mail", variables={"n": "names"}))
    with pytest.raises(RunFailedError, match=r"no column `zone`.*audience.columns.time_zone"):
        check_columns(names, Columns(to="E-Mail", time_zone="zone"))
    with pytest.raises(RunFailedError, match="`c29` and 70 more"):
        check_columns(tuple(f"c{i}" for i in range(100)), Columns())
