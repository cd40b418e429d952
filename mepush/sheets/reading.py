"""Reads the rows of a CSV, or of a piece of it, that is UTF-8 (see `encodings`). Pure: no I/O."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mepush.sheets.cutting import MAX_RECORD, cut
from mepush.sheets.failures import RowReason
from mepush.sheets.formats import FileFormat
from mepush.sheets.formulas import restored
from mepush.sheets.header import trim

_INVISIBLE = ("\ufeff", "\u200b")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read: why, and its text as far as it is one."""

    reason: RowReason
    detail: str
    text: str


Content = list[str] | dict[str, Any] | Unreadable
"""A CSV's row is its cells, without blanks around them; that of line-delimited JSON an object."""


def misfit(cells: list[str], width: int) -> str:
    """Why a row does not fit a header of so many cells, in words; empty if it does. More cells may be empty ones."""
    if len(cells) < width or any(cells[width:]):
        return f"has {len(cells):,} cells where the header has {width:,}"
    return ""


def read_cells(data: bytes, delimiter: str, first: int = 0) -> Iterator[tuple[int, Content]]:
    """The rows of whole records, with their places in the piece; blank ones are left out, and keep their places.

    first: the place of the first one. Raises: SheetError if a quote is never closed.
    """
    at = first
    try:
        text = data.decode()
        tidy = trim if any(c in text for c in _INVISIBLE) else str.strip
        tidy = _restored if "'" in text else tidy
        for row in _reader(text, delimiter):
            cells = list(map(tidy, row))
            if any(cells):
                yield at, cells
            at += 1
        return
    except (UnicodeDecodeError, csv.Error):
        pass
    # After an error the csv module is out of step. So from there on the rows are read one by one.
    for index, piece in enumerate(cut(data, FileFormat.CSV, delimiter, 1, first), first):
        if index >= at:
            found = _row(data[piece.start : piece.end], delimiter)
            if found is not None:
                yield index, found


def _row(record: bytes, delimiter: str) -> Content | None:
    """One row by itself; None if it is blank."""
    try:
        text = record.decode()
    except UnicodeDecodeError:
        return not_utf8(record)
    try:
        cells = [_restored(cell) for row in _reader(text, delimiter) for cell in row]
    except csv.Error as error:
        return Unreadable(RowReason.NOT_CSV, _csv_problem(str(error)), text)
    return cells if any(cells) else None


def _restored(cell: str) -> str:
    return restored(trim(cell))


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    # The limit is the whole process's; a cell is as long as its row at most.
    if csv.field_size_limit() < MAX_RECORD:
        csv.field_size_limit(MAX_RECORD)
    return csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)


def _csv_problem(message: str) -> str:
    if "expected after" in message:
        return "holds text after a closing quote; a quote inside a cell is written twice"
    if "new-line" in message:
        return "holds a carriage return outside of quotes"
    return "is not well-formed CSV"


def not_utf8(record: bytes) -> Unreadable:
    """What becomes of a row that is no text."""
    detail = "holds bytes that are no text in the file's encoding; save the file as `CSV UTF-8`"
    return Unreadable(RowReason.NOT_UTF8, detail, record.decode(errors="replace"))
