"""What an audience file begins with: the kinds that can be read, and what is said of those that cannot."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mepush.sheets import header
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import Header, check_columns, read_header
from shared.model.campaigns import Columns
from shared.model.sizes import json_size

CSV, NDJSON = FileFormat.CSV, FileFormat.NDJSON


def problem(head: bytes, format: FileFormat = CSV) -> str:
    """Why a whole file cannot be read."""
    with pytest.raises(SheetError) as failed:
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
        (b"sep=;\r\nto;name,first\r\n", Header(("to", "name,first"), ";", 22)),
        (b'\xef\xbb\xbf"SEP=\t"\nto\tname\n', Header(("to", "name"), "\t", 19)),
        (b'"a,b,c,d";to\n', Header(("a,b,c,d", "to"), ";", 13)),
        (b"to|name\n", Header(("to", "name"), "|", 8)),
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
        (b"to,na\xff\n", "neither UTF-8 nor Chinese in GBK. Save it"),
        (b'to,"name\na,b\n', "has no end: probably a quote opens there and is never closed"),
        (b'to,"na"me\na,b\n', "holds text after a closing quote"),
        (b"to,name,name\na,b,c\n", "has the column `name` more than once. Rename all but one"),
    ],
)
def test_what_cannot_be_read_is_said_with_what_to_do(head: bytes, words: str) -> None:
    assert words in problem(head)


def test_an_endless_header_does_not_fill_the_memory() -> None:
    with pytest.raises(SheetError, match="has no end"):
        read_header(b"x" * 1_000_002, CSV, over=False)


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    names = ("Customer No", "E-Mail", "name", "")
    check_columns(names, Columns(to="e-mail", reference="customer no", variables={"n": "name"}))

    with pytest.raises(SheetError) as failed:
        check_columns(names, Columns())
    assert failed.value.problem == (
        "The file has no column `to`; its columns are: `Customer No`, `E-Mail`, `name`. "
        "Name the right one in the campaign's audience.columns.to, or rename the column."
    )
    with pytest.raises(SheetError, match=r"Is it `name`\? Name the right one in .*audience.columns.variables.n"):
        check_columns(names, Columns(to="E-Mail", variables={"n": "names"}))
    with pytest.raises(SheetError, match=r"no column `zone`.*audience.columns.time_zone"):
        check_columns(names, Columns(to="E-Mail", time_zone="zone"))
    with pytest.raises(SheetError, match="`c29` and 70 more"):
        check_columns(tuple(f"c{i}" for i in range(100)), Columns())


@given(st.lists(st.text(alphabet=st.sampled_from('ab"\\\n\x01\x7f汉😀\u2028\ufffe\uffff')), max_size=6))
def test_names_are_as_large_as_the_platform_finds_them(others: list[str]) -> None:
    names = ("to", *others)
    with patch.object(header, "MAX_NAMES_BYTES", json_size(names)):
        check_columns(names, Columns())
    with patch.object(header, "MAX_NAMES_BYTES", json_size(names) - 1), pytest.raises(SheetError) as failed:
        check_columns(names, Columns())
    assert f"{json_size(names):,} bytes of column names" in failed.value.problem
