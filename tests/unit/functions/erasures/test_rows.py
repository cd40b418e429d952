"""A person's rows go out of files, and nothing else moves."""

import gzip
from collections.abc import Iterator

import pytest

from functions.erasures.person import Person
from functions.erasures.rows import Rows
from mepush.sheets.erased import CSV_MARK, is_erased
from mepush.sheets.formats import FileFormat
from mepush.sheets.reading import read_cells
from shared.model.veils import Veil
from shared.model.words import Channel

ADA = {Channel.EMAIL: "ada@example.com", Channel.SMS: "+8613811112222", Channel.WECOM: "ada"}


def _person(channel: Channel) -> Person:
    return Person("default", channel, ADA[channel], "A" * 16, Veil("V" * 16, 0), "CN", True)


def _rewritten(channel: Channel, data: bytes, format: FileFormat = FileFormat.CSV, piece: int = 7) -> tuple[bytes, int]:
    rows = Rows(_person(channel), format)

    def pieces() -> Iterator[bytes]:
        yield from (data[at : at + piece] for at in range(0, len(data), piece))

    return b"".join(rows.rewritten(pieces())), rows.found


@pytest.mark.parametrize(
    ("channel", "cell"),
    [
        (Channel.EMAIL, "ADA@Example.com"),
        (Channel.EMAIL, " ada@example.com "),
        (Channel.EMAIL, '"ada@example.com"'),
        (Channel.EMAIL, "ada@\u200bexample.com"),
        (Channel.SMS, "138 1111-2222"),
        (Channel.SMS, "+86 138 1111 2222"),
        (Channel.SMS, "0086 13811112222"),
        (Channel.WECOM, "Ada"),
    ],
)
def test_every_spelling_is_found_and_places_stay(channel: Channel, cell: str) -> None:
    data = f"to,name\nbob,Bob\n{cell},Ada 爱达\ncarl,Carl\n".encode()
    found, count = _rewritten(channel, data)
    assert count == 1 and len(found) == len(data)
    lines, before = found.split(b"\n"), data.split(b"\n")
    assert [lines[i] == before[i] for i in range(4)] == [True, True, False, True]
    [row] = [content for _, content in read_cells(lines[2] + b"\n", ",")]
    assert is_erased(row) and lines[2].startswith(CSV_MARK.encode())


@pytest.mark.parametrize(
    ("channel", "cell"),
    [
        (Channel.EMAIL, "xada@example.com"),
        (Channel.EMAIL, "ada@example.com.cn"),
        (Channel.SMS, "13811112223"),
        (Channel.SMS, "913811112222"),
        (Channel.WECOM, "adam"),
    ],
)
def test_others_with_a_similar_address_stay(channel: Channel, cell: str) -> None:
    data = f"to,name\n{cell},Somebody\n".encode()
    assert _rewritten(channel, data) == (data, 0)


def test_a_row_of_several_lines_stays_one_row() -> None:
    data = b'to,note\nbob,"x\ny"\nada@example.com,"two\nlines"\ncarl,z\n'
    found, count = _rewritten(Channel.EMAIL, data)
    assert (count, len(found)) == (1, len(data))
    rows = [content for _, content in read_cells(found, ",")]
    assert rows == [["to", "note"], ["bob", "x\ny"], [CSV_MARK], ["carl", "z"]]


def test_who_is_mentioned_by_others_is_struck_out() -> None:
    data = b"to,note\nbob,ask ada@example.com first\n"
    found, count = _rewritten(Channel.EMAIL, data)
    assert (found, count) == (b"to,note\nbob,ask *************** first\n", 1)


def test_lines_of_json_are_read_whole() -> None:
    data = b'{"to":"bob"}\n{"to":13811112222,"name":"Ada"}\n{"variables":{"x":["13811112222"]}}\n'
    found, count = _rewritten(Channel.SMS, data, FileFormat.NDJSON)
    assert count == 2 and len(found) == len(data)
    assert [line.rstrip() for line in found.splitlines()] == [b'{"to":"bob"}', b'{"erased":true}', b'{"erased":true}']


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030", "utf-8-sig"])
def test_other_encodings_are_read(encoding: str) -> None:
    text = "to,name\nada@example.com,爱达爱达爱达\nbob@example.com,鲍勃鲍勃鲍勃\n"
    found, count = _rewritten(Channel.EMAIL, text.encode(encoding))
    assert count == 1 and b"ada@example.com" not in found and "鲍勃".encode() in found


def test_a_packed_file_stays_packed() -> None:
    data = gzip.compress(b"to,name\nada@example.com,Ada\nbob,Bob\n")
    found, count = _rewritten(Channel.EMAIL, data)
    assert count == 1 and b"ada@" not in gzip.decompress(found) and b"bob,Bob\n" in gzip.decompress(found)


def test_a_file_without_the_person_is_the_same() -> None:
    data = "".join(f"p{i}@example.com,Person {i}\r\n" for i in range(3_000)).encode()
    assert _rewritten(Channel.EMAIL, b"to,name\r\n" + data, piece=9_000) == (b"to,name\r\n" + data, 0)
