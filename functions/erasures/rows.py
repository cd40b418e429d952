"""Takes a person's rows out of files of recipients, without moving anything else. Pure: no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pydantic_core import from_json

from functions.erasures.person import Person
from mepush.sheets.cutting import Cutter, cut
from mepush.sheets.encodings import WINDOW, Form, as_utf8, form_of
from mepush.sheets.erased import CSV_MARK, JSON_MARK, filler
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import read_header
from mepush.sheets.reading import read_cells
from shared.base.gzip import packed, unpacked

GZIP = b"\x1f\x8b"
ROWS = 1_000
"""That are looked at together, as long as none of them may be the person's."""
SIZE = 1_000_000


@dataclass(slots=True)
class Rows:
    """Rewrites one file, as it streams by."""

    person: Person
    format: FileFormat
    headed: bool = True
    """Whether a header comes first."""
    delimiter: str = ""
    """Empty if it is not known."""
    found: int = field(default=0, init=False)
    """Rows of the person so far."""

    def rewritten(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The file without the person's rows. A file in another encoding becomes UTF-8; a packed one is packed anew.

        Raises: SheetError for what cannot be read as a file of recipients.
        """
        first = next(pieces, b"")
        pieces = chain((first,), pieces)
        if first.startswith(GZIP):
            return packed(self._plain(unpacked(pieces)))
        return self._plain(pieces)

    def _plain(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        form, pieces = _form(pieces)
        yield from self._utf8(pieces if form.plain else as_utf8(pieces, form))

    def _utf8(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        delimiter, head = self.delimiter or ",", b""
        if self.headed:
            delimiter, head, pieces = self._head(pieces)
        yield head
        cutter = Cutter(self.format, delimiter, rows=ROWS, size=SIZE)
        open_bytes = bytearray()
        for piece in pieces:
            open_bytes += piece
            yield from self._taken(cutter.feed(piece), open_bytes, delimiter)
        yield from self._taken(cutter.finish(), open_bytes, delimiter)
        yield bytes(open_bytes)

    def _head(self, pieces: Iterator[bytes]) -> tuple[str, bytes, Iterator[bytes]]:
        read = b""
        for piece in pieces:
            read += piece
            header = read_header(read, self.format, over=False, delimiter=self.delimiter)
            if header is not None:
                return header.delimiter, read[: header.end], chain((read[header.end :],), pieces)
        header = read_header(read, self.format, over=True, delimiter=self.delimiter)
        end = len(read) if header is None else header.end
        return "," if header is None else header.delimiter, read[:end], iter((read[end:],))

    def _taken(self, cuts: Any, open_bytes: bytearray, delimiter: str) -> Iterator[bytes]:
        for each in cuts:
            data = bytes(open_bytes[: each.end - each.start])
            del open_bytes[: len(data)]
            near = self.person.may_be_in(data.decode(errors="replace"))
            yield self._without(data, delimiter) if near else data

    def _without(self, data: bytes, delimiter: str) -> bytes:
        records = [data[each.start : each.end] for each in cut(data, self.format, delimiter, 1)]
        return b"".join(self._replaced(record, delimiter) for record in records)

    def _replaced(self, record: bytes, delimiter: str) -> bytes:
        if not self._is_theirs(record, delimiter):
            return self._struck(record)
        self.found += 1
        return filler(record, CSV_MARK if self.format is FileFormat.CSV else JSON_MARK)

    def _struck(self, record: bytes) -> bytes:
        """A row of somebody else, in which the person may be mentioned."""
        try:
            struck = self.person.struck(record.decode()).encode()
        except UnicodeDecodeError:
            return record
        self.found += struck != record
        return struck

    def _is_theirs(self, record: bytes, delimiter: str) -> bool:
        if not self.person.may_be_in(record.decode(errors="replace")):
            return False
        if self.format is FileFormat.NDJSON:
            return any(map(self.person.is_named, _values(_object(record))))
        cells = (content for _, content in read_cells(record, delimiter))
        return any(self.person.is_named(cell) for row in cells for cell in _cells(row))


def _form(pieces: Iterator[bytes]) -> tuple[Form, Iterator[bytes]]:
    seen: list[bytes] = []
    size = 0
    for piece in pieces:
        seen.append(piece)
        size += len(piece)
        if size >= WINDOW:
            break
    return form_of(b"".join(seen), over=size < WINDOW), chain(seen, pieces)


def _cells(row: Any) -> list[str]:
    """The cells of a row; of one that cannot be read whatever stands between delimiters of any kind."""
    return row if isinstance(row, list) else str(row.text).replace(";", ",").replace("\t", ",").split(",")


def _object(record: bytes) -> Any:
    try:
        return from_json(record)
    except ValueError:
        return record.decode(errors="replace").replace('"', " ").split()


def _values(value: Any) -> Iterator[str]:
    """All texts and whole numbers of a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif isinstance(value, str | int):
        yield str(value)
