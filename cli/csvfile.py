"""Reads the CSV files that spreadsheets write, and keeps every recipient's row number as the spreadsheet shows it."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cli.errors import FileError
from shared.api.messages import MAX_BODY_BYTES, MAX_RECIPIENTS

_DELIMITERS = (",", ";", "\t")
_ADDRESS_MAX = 320
_REFERENCE_MAX = 100
# Room in a request for what is not recipients.
_CHUNK_BYTES = MAX_BODY_BYTES - 500_000
_CELL_MAX = 1_000_000


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
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> Audience:
    """Read a CSV: one column of addresses, the others are variables named by the header.

    UTF-8 with or without a byte-order mark, or `encoding`; any line ends; quoted commas, quotes and line breaks. The
    delimiter is found by the header unless given. Blanks around a cell are dropped; an empty cell is no variable, so
    that a template's default applies. Empty rows are skipped. Broken rows are returned beside the good ones.
    Raises: FileError if the file as a whole cannot be read, in which case nothing should be sent.
    """
    data = _bytes(path)
    text = _decode(path, data, encoding)
    records = _records(path, text, delimiter or _delimiter(text))
    header = next(records, None)
    if header is None:
        raise FileError(f"{path} is empty.", "Its first row must name the columns.")
    columns = _columns(path, header[1], to_column, reference_column, ignore)
    names = [name for name, role in columns if role == "variable"]
    to = next(name for name, role in columns if role == "to")
    audience = Audience(blake2b(data, digest_size=16).hexdigest(), names, to)
    for number, cells in records:
        cells = [_trim(cell) for cell in cells]
        if any(cells):
            made = _row(number, cells, columns)
            if isinstance(made, Row):
                audience.rows.append(made)
            else:
                audience.broken.append(made)
    return audience


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from None


def _decode(path: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode("utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding)
    except LookupError:
        raise FileError(f"There is no encoding {encoding!r}.", "Try utf-8, gb18030 or utf-16.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{path} is not {encoding}: see line {line}.",
            "Save it as `CSV UTF-8`, or give --encoding gb18030 if a Chinese Excel wrote it.",
        ) from None


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(_DELIMITERS, key=header.count)


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with its row number. Raises: FileError; a quote that never closes would swallow recipients."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = csv.field_size_limit(_CELL_MAX)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            yield number, cells
    except csv.Error as error:
        raise FileError(
            f"{path}, row {number + 1} is not CSV: {_csv_problem(str(error))}.", "Nothing was sent."
        ) from None
    finally:
        csv.field_size_limit(before)


def _csv_problem(message: str) -> str:
    if "end of data" in message:
        return "a quote is opened and never closed"
    if "expected after" in message:
        return "text follows a closing quote; a quote inside a cell is written twice"
    if "larger than" in message:
        return "a cell is too long; is a quote never closed?"
    return message


def _columns(
    path: Path, header: list[str], to_column: str, reference_column: str | None, ignore: Sequence[str]
) -> list[tuple[str, str]]:
    """(name, role) per column. Raises: FileError."""
    names = [_trim(cell) for cell in header]
    named = [name for name in names if name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise FileError(f"{path} has the column {twice[0]!r} twice.", "Rename one of them in row 1.")
    to = _find(names, to_column)
    if to is None:
        found = ", ".join(named) or "none"
        raise FileError(f"{path} has no column {to_column!r}; row 1 has: {found}.", "Name the one with --to-column.")
    roles = dict.fromkeys(names, "variable") | dict.fromkeys(ignore, "ignored") | {"": "ignored"}
    if reference_column is not None:
        reference = _find(names, reference_column)
        if reference is None:
            raise FileError(f"{path} has no column {reference_column!r}.", "Check --reference-column.")
        roles[reference] = "reference"
    roles[to] = "to"
    return [(name, roles[name]) for name in names]


def _find(names: list[str], wanted: str) -> str | None:
    if wanted in names:
        return wanted
    return next((name for name in names if name.casefold() == wanted.casefold()), None)


def _trim(cell: str) -> str:
    return cell.strip().strip("\ufeff\u200b").strip()


def _row(number: int, cells: list[str], columns: list[tuple[str, str]]) -> Row | BrokenRow:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        detail = f"the row has {len(cells)} cells, the header {len(columns)}; a comma inside a cell needs quotes"
        return BrokenRow(number, "", "row_invalid", detail)
    recipient: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for (name, role), cell in zip(columns, cells, strict=False):
        if role == "variable" and cell:
            variables[name] = cell
        elif role in {"to", "reference"} and cell:
            recipient[role] = cell
            limit = _ADDRESS_MAX if role == "to" else _REFERENCE_MAX
            if len(cell) > limit:
                return BrokenRow(number, name, "row_invalid", f"has {len(cell)} characters, more than {limit}")
    if "to" not in recipient:
        to = next(name for name, role in columns if role == "to")
        return BrokenRow(number, to, "address_invalid", "the address is empty")
    if variables:
        recipient["variables"] = variables
    return Row(number, recipient, len(json.dumps(recipient).encode()) + 2)
