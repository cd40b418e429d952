"""The beginning of a file in UTF-8 (see `encodings`): which columns it names, what parts them. Pure: no I/O."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from mepush.sheets.cutting import MAX_RECORD, Cutter
from mepush.sheets.encodings import SAVE
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.formulas import restored
from mepush.sheets.visible import visible

_UTF8_BOM = b"\xef\xbb\xbf"
DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(rb'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE).match
"""The line before the header by which Excel is told the delimiter."""
_QUOTED = re.compile(rb'"[^"]*"')
_MOST_NAMED = 30
MAX_COLUMNS = 2_000
MAX_NAMES_BYTES = 64_000
"""Of a file's first row, as its run keeps it with every state: an item of the table holds 400 KB."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file begins with. names: of a CSV's columns, in order. end: where its first row begins, in bytes."""

    names: tuple[str, ...]
    delimiter: str
    end: int


class Columns(Protocol):
    """Which columns of a file somebody wants: names of columns, or None. variables: by variable."""

    @property
    def to(self) -> str: ...
    @property
    def time_zone(self) -> str | None: ...
    @property
    def reference(self) -> str | None: ...
    @property
    def variables(self) -> Mapping[str, str]: ...


def read_header(head: bytes, format: FileFormat, over: bool, delimiter: str = "") -> Header | None:
    """Read the beginning of a file; None if it takes more of it. over: this is the whole file. Raises: SheetError.

    delimiter: of a CSV; without one it is what the line `sep=` names, else that of comma, semicolon, tab and bar which
    stands most often in the first line outside of quotes.
    """
    if len(head) < 4 and not over:
        return None
    bom = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    if over and not head[bom:].strip():
        raise SheetError("The file is empty. Give it again, with a row for each recipient.")
    if format is FileFormat.NDJSON:
        return Header((), ",", bom)
    line = head[bom:].partition(b"\n")[0]
    if len(line) == len(head) - bom and not over and len(head) <= MAX_RECORD:
        return None
    if named := _SEPARATOR(head, bom):
        begin, delimiter = named.end(), delimiter or named[1].decode()
    else:
        begin, delimiter = bom, delimiter or _delimiter(line)
    end = _first_row_ends(head[begin:], delimiter, over)
    if end is None:
        return None
    return Header(_names(head[begin : begin + end], delimiter), delimiter, begin + end)


def _delimiter(line: bytes) -> str:
    return max(DELIMITERS, key=_QUOTED.sub(b"", line).decode(errors="replace").count)


def check_columns(names: tuple[str, ...], columns: Columns) -> None:
    """Look whether a CSV has the columns that the campaign names, and not too many. Raises: SheetError."""
    if len(names) > MAX_COLUMNS or (found := _json_size(names)) > MAX_NAMES_BYTES:
        what = f"{len(names):,} columns, more than {MAX_COLUMNS:,}"
        if len(names) <= MAX_COLUMNS:
            what = f"{found:,} bytes of column names, more than {MAX_NAMES_BYTES:,}"
        raise SheetError(
            f"The file's first row has {what}. It must name the columns; leave out those that no template uses."
        )
    wanted = [("to", columns.to), ("time_zone", columns.time_zone), ("reference", columns.reference)]
    wanted += [(f"variables.{variable}", column) for variable, column in columns.variables.items()]
    for meaning, column in wanted:
        if column is not None and find_column(names, column) is None:
            raise SheetError(_missing(names, meaning, column))


def find_column(names: Sequence[str], wanted: str) -> int | None:
    """Where a column is: the one of that very name, else one that differs by capitals, full-width letters or invisible
    marks only."""
    if wanted in names:
        return names.index(wanted)
    folded = visible(wanted).casefold()
    return next((i for i, name in enumerate(names) if visible(name).casefold() == folded), None)


def _json_size(names: tuple[str, ...]) -> int:
    """The bytes of names as a list of JSON that a queue's message may hold, which has these two characters escaped."""
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":"))
    return len(text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff").encode())


def trim(cell: str) -> str:
    """A cell without blanks around it, nor the invisible characters that spreadsheets leave behind."""
    return cell.strip().strip("\ufeff\u200b").strip()


def _first_row_ends(head: bytes, delimiter: str, over: bool) -> int | None:
    cutter = Cutter(FileFormat.CSV, delimiter, rows=1)
    try:
        for line in _lines(head):
            if cuts := cutter.feed(line):
                return cuts[0].end
        if over:
            return cutter.finish()[0].end
    except SheetError:
        raise SheetError(
            "The first row, which names the columns, has no end: probably a quote opens there and is never closed. "
            'Correct it and give the file again; a quote inside a name is written twice ("").'
        ) from None
    return None


def _lines(head: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(head):
        end = head.find(b"\n", position) + 1 or len(head)
        yield head[position:end]
        position = end


def _names(record: bytes, delimiter: str) -> tuple[str, ...]:
    try:
        text = record.decode()
    except UnicodeDecodeError:
        raise SheetError(
            f"The first row, which names the columns, is neither UTF-8 nor Chinese in GBK. {SAVE}"
        ) from None
    try:
        cells = next(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True))
    except csv.Error:
        raise SheetError(
            "The first row, which names the columns, holds text after a closing quote, or a carriage return. "
            'Correct it and give the file again; a quote inside a name is written twice ("").'
        ) from None
    names = tuple(restored(trim(cell)) for cell in cells)
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    if twice:
        raise SheetError(f"The file has the column `{twice[0]}` more than once. Rename all but one of them.")
    return names


def _missing(names: tuple[str, ...], meaning: str, column: str) -> str:
    there = [name for name in names if name]
    listed = ", ".join(f"`{name}`" for name in there[:_MOST_NAMED]) or "none"
    more = f" and {len(there) - _MOST_NAMED} more" if len(there) > _MOST_NAMED else ""
    folded = {name.casefold(): name for name in there}
    near = [folded[name] for name in get_close_matches(column.casefold(), folded, n=1)]
    meant = f" Is it `{near[0]}`?" if near else ""
    return (
        f"The file has no column `{column}`; its columns are: {listed}{more}.{meant} "
        f"Name the right one in the campaign's audience.columns.{meaning}, or rename the column."
    )
