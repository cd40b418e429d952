"""What a file is written in: told by its bytes where there is one reading, else said in words."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mepush.sheets.encodings import WINDOW, Form, as_utf8, form_of
from mepush.sheets.failures import SheetError

CHINESE = "收件人,姓名,备注\nada@example.com,李雷,请到杭州西湖区文三路478号领取您的礼品\nli@example.com,韩梅梅,谢谢！\n"
WESTERN = "to,name\nzoe@example.com,Zoë Müller\na@example.com,Ångström\nb@example.com,Señor Peña\n"
TAIWANESE = "to,名字,備註\na@example.com,張麗華,請於週末前往臺北領取您的禮品與贈品\nb@example.com,陳國榮,謝謝您的訂購\n"


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "gb2312"])
def test_chinese_files_of_excel_are_known(encoding: str) -> None:
    assert form_of(CHINESE.encode(encoding), True) == Form("gb18030")
    assert form_of("to,name\na@example.com,李雷\n".encode(encoding), True) == Form("gb18030")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("text", [CHINESE, WESTERN, TAIWANESE])
def test_unicode_is_known(text: str, encoding: str) -> None:
    form = form_of(text.encode(encoding), True)
    assert form.encoding == ("utf-16" if encoding == "utf-16" else "utf-8")
    assert b"".join(as_utf8([text.encode(encoding)], form)).decode("utf-8-sig") == text


@pytest.mark.parametrize("data", [WESTERN.encode("cp1252"), TAIWANESE.encode("big5"), "имя\n".encode("cp1251") * 9])
def test_what_is_neither_is_not_taken_for_chinese(data: bytes) -> None:
    assert form_of(data, True) == Form("utf-8")  # whose rows are then refused, one by one


def test_a_few_broken_bytes_do_not_make_another_encoding_of_it() -> None:
    data = CHINESE.encode() + b"x@example.com,\xff,\n"
    assert form_of(data, True) == Form("utf-8")
    assert b"".join(as_utf8([data], Form("utf-8"))) == data


@settings(deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff"), max_size=200),
    st.sampled_from(["gb18030", "utf-16", "utf-8"]),
    st.lists(st.integers(0, 900), max_size=5),
)
def test_a_file_in_pieces_is_the_same_file(text: str, encoding: str, at: list[int]) -> None:
    data = text.encode(encoding)
    ends = [0, *sorted(at), len(data)]
    pieces = [data[one:other] for one, other in pairwise(ends)]
    assert b"".join(as_utf8(pieces, Form(encoding))) == text.encode()


@pytest.mark.parametrize(("encoding", "data"), [("gb18030", b"a,\xff\xff,b\n"), ("utf-16", b"\xff\xfea\0\0\xd8b\0")])
def test_bytes_that_are_no_text_are_none_afterwards(encoding: str, data: bytes) -> None:
    made = b"".join(as_utf8([data], Form(encoding)))
    with pytest.raises(UnicodeDecodeError):
        made.decode()
    assert made.startswith(b"a") and made.rstrip().endswith(b"b")


def test_lines_that_end_with_a_carriage_return_alone_are_known() -> None:
    assert form_of(b"to,name\ra,b\r", True) == Form("utf-8", returns=True)
    assert form_of(b"to,name\r\na,b\r\n", True) == Form()
    assert form_of("to,名\ra,李\r".encode("gb18030"), True) == Form("gb18030", returns=True)
    assert b"".join(as_utf8([b"to\ra", b"\rb"], Form("utf-8", True))) == b"to\na\nb"


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_window_that_ends_amid_a_character_changes_nothing(cut: int) -> None:
    data = (b"to,\n" + b"x" * cut + "李".encode() * WINDOW)[: 2 * WINDOW]
    assert form_of(data, False) == Form("utf-8")
    data = (b"to,\n" + b"x" * cut + "李雷".encode("gb18030") * WINDOW)[: 2 * WINDOW]
    assert form_of(data, False) == Form("gb18030")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04rest", "an Excel workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook of old"),
        (b"%PDF-1.7", "a PDF"),
        (b"Rar!\x1a\x07", "an archive"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\xff\xfe\x00\x00t\x00\x00\x00", "UTF-32"),
        ("to,name\n".encode("utf-16-le"), "UTF-16 without its mark"),
        ("to,name\n".encode("utf-16-be"), "UTF-16 without its mark"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "no text at all"),
        (b"\xef\xbb\xbf\r\n<HTML><body><table>", "a web page or XML"),
        (b'<?xml version="1.0"?><Workbook>', "a web page or XML"),
    ],
)
def test_what_is_no_csv_is_called_what_it_is(data: bytes, said: str) -> None:
    with pytest.raises(SheetError) as refused:
        form_of(data, True)
    assert said in refused.value.problem
    assert "CSV" in refused.value.problem or "give it again" in refused.value.problem
