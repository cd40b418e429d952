"""Reading the CSV files that people have."""

from pathlib import Path

import pytest

from mepush.client.errors import FileError
from mepush.files.recipients import Audience, Row, read_audience


def read(tmp_path: Path, data: str | bytes, *args: object, **options: object) -> Audience:
    path = tmp_path / "audience.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_audience(path, *args, **options)  # type: ignore[arg-type]  # options as a test gives them


def pairs(audience: Audience) -> list[tuple[int, dict[str, object]]]:
    return [(row.number, row.recipient) for row in audience.rows]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_make_no_difference(tmp_path: Path, bom: bytes, newline: str) -> None:
    text = newline.join(["to,name", "a@example.com,李雷", "b@example.com,Zoë 🎉", ""])
    assert pairs(read(tmp_path, bom + text.encode())) == [
        (2, {"to": "a@example.com", "variables": {"name": "李雷"}}),
        (3, {"to": "b@example.com", "variables": {"name": "Zoë 🎉"}}),
    ]


def test_quoted_line_breaks_commas_and_quotes_stay_and_rows_count_as_in_a_spreadsheet(tmp_path: Path) -> None:
    text = 'to,note\na@example.com,"two\nlines, and a comma"\n"b@example.com","say ""hi"""\n'
    assert pairs(read(tmp_path, text)) == [
        (2, {"to": "a@example.com", "variables": {"note": "two\nlines, and a comma"}}),
        (3, {"to": "b@example.com", "variables": {"note": 'say "hi"'}}),
    ]


def test_empty_rows_are_skipped_but_counted(tmp_path: Path) -> None:
    text = "to,name\na@example.com,A\n\n , \n,\nb@example.com,B\n\n"
    audience = read(tmp_path, text)
    assert [row.number for row in audience.rows] == [2, 6]
    assert audience.broken == []


def test_blanks_of_every_kind_around_cells_are_dropped_and_an_empty_cell_is_no_variable(tmp_path: Path) -> None:
    audience = read(tmp_path, "to, name ,city\n　a@example.com\u00a0, Ada Lovelace　,　\n")
    assert pairs(audience) == [(2, {"to": "a@example.com", "variables": {"name": "Ada Lovelace"}})]
    assert audience.variables == ["name", "city"]


def test_rows_that_cannot_be_sent_are_set_aside_with_row_and_reason(tmp_path: Path) -> None:
    long = "x" * 321
    text = f"to,name\n,A\na@example.com,Smith, John\n{long},B\nb@example.com\nc@example.com,C,,\n"
    audience = read(tmp_path, text)
    assert [(b.number, b.column, b.reason) for b in audience.broken] == [
        (2, "to", "address_invalid"),
        (3, "", "columns_wrong"),
        (4, "to", "address_invalid"),
        (5, "", "columns_wrong"),
    ]
    assert "has 3 cells where the header has 2" in audience.broken[1].detail
    assert pairs(audience) == [(6, {"to": "c@example.com", "variables": {"name": "C"}})]


def test_other_columns_by_name_in_any_case(tmp_path: Path) -> None:
    text = "No,E-Mail,Name,Ref\n7,a@example.com,Ada,r1\n"
    audience = read(tmp_path, text, "e-mail", "ref", ["No"])
    assert pairs(audience) == [(2, {"to": "a@example.com", "variables": {"Name": "Ada"}, "reference": "r1"})]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    text = f"to{delimiter}name\na@example.com{delimiter}Smith, John\n"
    assert pairs(read(tmp_path, text)) == [(2, {"to": "a@example.com", "variables": {"name": "Smith, John"}})]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig", "utf-8"])
def test_a_chinese_excel_file_whatever_its_encoding(tmp_path: Path, encoding: str) -> None:
    data = "to,姓名\na@example.com,李雷\n".encode(encoding)
    for given in (encoding, ""):
        assert pairs(read(tmp_path, data, encoding=given))[0][1]["variables"] == {"姓名": "李雷"}


def test_an_encoding_that_cannot_be_told_is_given(tmp_path: Path) -> None:
    data = "to,名字\na@example.com,張麗華與陳國榮\n".encode("big5")
    assert pairs(read(tmp_path, data, encoding="big5"))[0][1]["variables"] == {"名字": "張麗華與陳國榮"}
    with pytest.raises(FileError, match="neither UTF-8 nor Chinese in GBK"):
        read(tmp_path, data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("name,mail\nA,a@example.com\n", "has no column 'to'; row 1 has: name, mail"),
        ("to,name,name\n", "has the column `name` more than once"),
        ('to,name\na@example.com,"never closed\nb@example.com,B\n', "Row 2 opens a quote that is never closed"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_refused_before_anything_is_sent(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(FileError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)


def test_a_row_with_text_behind_a_quote_is_set_aside_alone(tmp_path: Path) -> None:
    audience = read(tmp_path, 'to,name\na@example.com,"B"c\nb@example.com,B\n')
    assert [(b.number, b.reason) for b in audience.broken] == [(2, "not_csv")]
    assert [row.number for row in audience.rows] == [3]


def test_unknown_encodings_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no encoding 'klingon'"):
        read(tmp_path, "to\n", encoding="klingon")
    with pytest.raises(FileError, match="cannot be read"):
        read_audience(tmp_path / "absent.csv")


def test_chunks_hold_a_thousand_rows_or_what_the_api_takes() -> None:
    rows = [Row(n, {"to": f"{n}@example.com"}, 100) for n in range(2, 2503)]
    assert [len(chunk) for chunk in Audience("d", [], rows=rows).chunks()] == [1000, 1000, 501]
    heavy = [Row(n, {"to": f"{n}@example.com"}, 2_000_000) for n in range(2, 7)]
    assert [len(chunk) for chunk in Audience("d", [], rows=heavy).chunks()] == [2, 2, 1]


def test_the_digest_follows_from_the_bytes(tmp_path: Path) -> None:
    first, same, other = (read(tmp_path, text).digest for text in ("to\na@b.c\n", "to\na@b.c\n", "to\na@b.d\n"))
    assert first == same != other
