"""What a campaign reads in a file, `mepush send --csv` reads in it too: the same files go through both."""

from pathlib import Path
from typing import Any

import pytest

from functions.campaign.check.rows import Bad, Good
from functions.campaign.file.reading import read_rows
from mepush.client.errors import FileError
from mepush.files.recipients import read_audience
from mepush.files.sending import fit
from mepush.sheets.encodings import as_utf8, form_of
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from tests.unit.functions.campaign.audience import cut_into, judge_of, run_of

FILES: dict[str, bytes] = {
    "plain": b"to,name\na@example.com,Ada\nb@example.com,Bob\n",
    "capitals": b"To,Name\na@example.com,Ada\n",
    "full-width header": "ｔｏ,Ｎａｍｅ\na@example.com,Ada\n".encode(),
    "marks in the header": "\u200eto,name\u202c\na@example.com,Ada\n".encode(),
    "mark of UTF-8": b"\xef\xbb\xbfto,name\r\na@example.com,Ada\r\n",
    "GBK": "to,name,城市\na@example.com,李雷,杭州\n".encode("gbk"),
    "UTF-16 with tabs": "to\tname\na@example.com\t李雷, 杭州\n".encode("utf-16"),
    "semicolons": b"to;name\na@example.com;Smith, John\n",
    "bars": b"to|name\na@example.com|Ada\n",
    "sep line": b"sep=;\r\nto;name\r\na@example.com;A,B\r\n",
    "quoted delimiters in the header": b'to;"a,b,c";name\na@example.com;x;Ada\n',
    "carriage returns alone": b"to,name\ra@example.com,Ada\rb@example.com,Bob\r",
    "quotes and line breaks": b'to,name\na@example.com,"A ""B"", C\nD"\n"b@example.com","E\r\nF"\n',
    "blank lines": b"to,name\n\na@example.com,Ada\n , \n,\n\nb@example.com,Bob\n\n",
    "blanks around cells": "to, name\n　a@example.com\u00a0,  Ada　\n".encode(),
    "too few cells": b"to,name\na@example.com\nb@example.com,Bob\n",
    "too many cells": b"to,name\na@example.com,Ada,x\nb@example.com,Bob,,\n",
    "a quote in the middle": b'to,name\na@example.com,"A"x\nb@example.com,Bob\n',
    "a carriage return in the middle": b"to,name\na@example.com,A\rx\nb@example.com,Bob\n",
    "broken bytes": b"to,name\na@example.com,\xff\xfe\nb@example.com,Bob\n",
    "no value": b"to,name\na@example.com,\nb@example.com,Bob\n",
    "no address": b"to,name\n,Ada\nb@example.com,Bob\n",
    "an exponent": b"to,name\na@example.com,8.61E+12\nb@example.com,Bob\n",
    "an error": b"to,name\na@example.com,#N/A\nb@example.com,Bob\n",
    "dates and decimals": b"to,name\na@example.com,45123\nb@example.com,2026/5/1\nc@example.com,3.0\n",
    "apostrophes": b"to,name\na@example.com,'=1+1\nb@example.com,'+8613800138000\nc@example.com,'tis\n",
    "no end of line": b"to,name\na@example.com,Ada",
    "a column without a name": b"to,,name\na@example.com,x,Ada\n",
    # As a whole:
    "columns twice": b"to,name,name\na@example.com,A,B\n",
    "no column of addresses": b"mail,name\na@example.com,A\n",
    "open quote": b'to,name\na@example.com,"Ada\nb@example.com,Bob\n',
    "open quote in the header": b'to,"name\na@example.com,Ada\n',
    "a workbook": b"PK\x03\x04rest",
    "nothing": b"",
    "UTF-16 without its mark": "to,name\na@example.com,Ada\n".encode("utf-16-le"),
    "neither": b"to,na\xff\na@example.com,Ada\n",
}

Found = list[tuple[int, Any]] | str
"""Row in the spreadsheet, and variables or why not; or that the whole file cannot be read."""


def by_campaign(data: bytes) -> Found:
    try:
        text = b"".join(as_utf8([data], form_of(data, True)))
        run = run_of(text)
        _, shards = cut_into(run, text, 10_000)
        judge = judge_of(run)
        assert run.file is not None
        if "to" not in {name.strip("\u200e").casefold() for name in run.file.header} and "ｔｏ" not in run.file.header:
            return "unreadable"
        found = []
        for index, content in read_rows(text[shards[0].start :], FileFormat.CSV, run.file):
            row = judge(index, content)
            assert isinstance(row, Good | Bad)
            number = run.campaign.audience.format.shown(shards[0].first_row + index)
            found.append((number, row.variables if isinstance(row, Good) else str(row.reason)))
        return found
    except SheetError:
        return "unreadable"


def by_command(path: Path) -> Found:
    try:
        audience = read_audience(path)
    except FileError:
        return "unreadable"
    fit(audience, ["name"], [], {})
    good = [(row.number, row.recipient.get("variables")) for row in audience.rows]
    return sorted([*good, *((row.number, str(row.reason)) for row in audience.broken)], key=lambda pair: pair[0])


@pytest.mark.parametrize("name", FILES)
def test_both_readers_find_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(FILES[name])
    found = by_campaign(FILES[name])
    assert by_command(path) == found
    whole = list(FILES).index(name) >= list(FILES).index("columns twice")
    assert (found == "unreadable") == whole


def test_a_column_in_capitals_fills_its_variable(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"To,Name,code,Other\nopt2@example.com,Ada,77,x\n")
    audience = read_audience(path)
    assert fit(audience, ["code"], ["name"], {}) == ["Other"]
    assert audience.rows[0].recipient == {"to": "opt2@example.com", "variables": {"name": "Ada", "code": "77"}}
