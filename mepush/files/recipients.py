"""Reads the CSV files that spreadsheets write, as campaigns do, and keeps every recipient's row number as the
spreadsheet shows it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mepush.client.errors import FileError
from mepush.sheets.encodings import Form, as_utf8, form_of
from mepush.sheets.failures import RowReason, SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import Header, find_column, read_header
from mepush.sheets.reading import Content, Unreadable, misfit, read_cells
from mepush.sheets.spoiled import spoiled
from mepush.words import MAX_BODY_BYTES, MAX_RECIPIENTS

_ADDRESS_MAX = 320
_REFERENCE_MAX = 100
# Room in a request for what is not recipients.
_CHUNK_BYTES = MAX_BODY_BYTES - 500_000
_UTF8 = frozenset({"utf-8", "utf8", "utf-8-sig"})


@dataclass(frozen=True, slots=True)
class Row:
    """A recipient. number: the row in the spreadsheet; the header is row 1. size: its bytes in a request."""

    number: int
    recipient: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be sent: its number, its column (empty for the whole row) and why."""

    number: int
    column: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Audience:
    """What a file holds. digest: names the file's bytes. to_column: of the addresses, as the file calls it."""

    digest: str
    variables: list[str]
    to_column: str = "to"
    rows: list[Row] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)

    def chunks(self, size: int = MAX_RECIPIENTS) -> Iterator[list[Row]]:
        """Cut the rows into requests of at most `size` recipients and the API's bytes; always the same way."""
        chunk: list[Row] = []
        used = 0
        for row in self.rows:
            if chunk and (len(chunk) == size or used + row.size > _CHUNK_BYTES):
                yield chunk
                chunk, used = [], 0
            chunk.append(row)
            used += row.size
        if chunk:
            yield chunk


def read_audience(
    path: Path,
    to_column: str = "to",
    reference_column: str | None = None,
    ignore: Sequence[str] = (),
    encoding: str = "",
    delimiter: str = "",
) -> Audience:
    """Read a CSV: one column of addresses, the others are variables named by the header.

    It is read by what reads campaigns' files (`mepush/sheets`). encoding, delimiter: found out unless given. Blanks
    around a cell are dropped; an empty cell is no variable, so that a template's default applies. Empty rows are
    skipped. Broken rows are returned beside the good ones. Raises: FileError if the file as a whole cannot be read, in
    which case nothing should be sent.
    """
    data = _bytes(path)
    try:
        text = _text(data, encoding)
        header = read_header(text, FileFormat.CSV, True, delimiter) or Header((), ",", len(text))
        columns = _Columns(path, header.names, to_column, reference_column, ignore)
        audience = Audience(blake2b(data, digest_size=16).hexdigest(), columns.variables, columns.to)
        for index, content in read_cells(text[header.end :], header.delimiter, 1):
            made = columns.row(FileFormat.CSV.shown(index), content)
            if isinstance(made, Row):
                audience.rows.append(made)
            else:
                audience.broken.append(made)
    except SheetError as error:
        raise FileError(f"{path}: {error.problem}", "Nothing was sent.") from None
    return audience


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from None


def _text(data: bytes, encoding: str) -> bytes:
    """The file as UTF-8. Raises: SheetError, FileError."""
    found = form_of(data, True) if not encoding or encoding.lower() in _UTF8 else Form(encoding)
    try:
        return b"".join(as_utf8([data], found))
    except LookupError:
        raise FileError(f"There is no encoding {encoding!r}.", "Try gb18030 or utf-16, or leave it out.") from None


class _Columns:
    """What a file's columns are. variables: those that are variables. to: that of the addresses. Raises: FileError."""

    def __init__(self, path: Path, names: Sequence[str], to: str, reference: str | None, ignore: Sequence[str]) -> None:
        self._names = names
        self._to = _place(path, names, to, "--to-column")
        self._reference = None if reference is None else _place(path, names, reference, "--reference-column")
        left_out = {find_column(names, name) for name in ignore} | {self._to, self._reference}
        self._variables = [i for i, name in enumerate(names) if name and i not in left_out]
        self.to = names[self._to]
        self.variables = [names[i] for i in self._variables]

    def row(self, number: int, content: Content) -> Row | BrokenRow:
        """A row as it was read. number: as the spreadsheet shows it."""
        if isinstance(content, Unreadable):
            return BrokenRow(number, "", content.reason, content.detail)
        cells = content if isinstance(content, list) else []
        if problem := misfit(cells, len(self._names)):
            return BrokenRow(number, "", RowReason.COLUMNS_WRONG, f"{problem}; a comma inside a cell needs quotes")
        to, reference = cells[self._to], "" if self._reference is None else cells[self._reference]
        if not to or len(to) > _ADDRESS_MAX:
            problem = f"has more than {_ADDRESS_MAX} characters" if to else "the address is empty"
            return BrokenRow(number, self.to, "address_invalid", problem)
        if len(reference) > _REFERENCE_MAX:
            problem = f"has more than {_REFERENCE_MAX} characters"
            return BrokenRow(number, self._names[self._reference or 0], RowReason.REFERENCE_INVALID, problem)
        variables = {self._names[i]: cells[i] for i in self._variables if cells[i]}
        recipient = {"to": to} | ({"reference": reference} if reference else {})
        return _made(number, recipient, variables)


def _made(number: int, recipient: dict[str, Any], variables: Mapping[str, str]) -> Row:
    if variables:
        recipient["variables"] = variables
    return Row(number, recipient, len(json.dumps(recipient).encode()) + 2)


def spoiled_cell(row: Row) -> BrokenRow | None:
    """The row as one that cannot be sent, if a spreadsheet has destroyed one of its variables."""
    for name, value in row.recipient.get("variables", {}).items():
        if problem := spoiled(value):
            return BrokenRow(row.number, name, RowReason.VARIABLE_INVALID, f"the cell {problem}")
    return None


def _place(path: Path, names: Sequence[str], wanted: str, option: str) -> int:
    """Where a column is. Raises: FileError."""
    place = find_column(names, wanted)
    if place is None:
        found = ", ".join(name for name in names if name) or "none"
        raise FileError(f"{path} has no column {wanted!r}; row 1 has: {found}.", f"Name the right one with {option}.")
    return place
