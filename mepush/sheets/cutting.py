"""Cuts audience files between rows, in one pass and in little memory, however large they are. Pure: no I/O.

Rows end as Python's csv module ends them: with LF or CRLF outside of quotes, where a quote opens only at the beginning
of a cell. Long stretches without quotes are counted as a whole; only lines that hold quotes are looked at one by one.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat

MAX_RECORD = 1_000_000
"""Bytes of a row. A longer one is hardly meant, and would have to be kept in memory."""
_STRETCH = 16_384
"""Bytes that are gone through at once."""
_NEAR = 512


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece of a file. start, end: its bytes, without the end. first_row: the number of its first row, from 1. rows:
    how many it has, blank ones too."""

    start: int
    end: int
    first_row: int
    rows: int


class _Lines:
    """Finds where rows end in a file of one row a line."""

    inside = False

    def sweep(self, block: bytes) -> tuple[int, int]:
        """See `_Quoted.sweep`."""
        return block.count(b"\n"), 0

    def spans(self, block: bytes) -> Iterator[tuple[int, int]]:
        """See `_Quoted.spans`."""
        yield len(block), block.count(b"\n")


class _Quoted:
    """Finds where rows end in a CSV. inside: whether a quoted cell is open."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter)
        # What follows a closing quote up to the delimiter belongs to the cell, as the csv module has it.
        closing = rf'[^"]*(?:""[^"]*)*"(?!")[^{d}]*'
        cell = rf'(?:"{closing}|[^"{d}][^{d}]*|)'
        self._complete = re.compile(f"{cell}(?:{d}{cell})*".encode()).fullmatch
        self._completes = re.compile(f"{closing}(?:{d}{cell})*".encode()).fullmatch
        self._before = frozenset((delimiter.encode(), b"\n", b""))
        self._behind = frozenset((delimiter.encode(), b"\n", b"\r", b""))
        self.inside = False

    def sweep(self, block: bytes) -> tuple[int, int] | None:
        """Go through whole lines at once: how many rows end, and how many bytes follow the last one that does.

        None, and nothing done, if a quote stands elsewhere than around a cell: then look at each line.
        """
        if not self.inside and b'"' not in block:
            return block.count(b"\n"), 0
        parts = block.split(b'"')
        # Every other part is outside of quotes. An empty one between others is a quote within a cell; of all others
        # what follows a quote has to begin, and what one follows has to end, as cells do.
        outside = parts[int(self.inside) :: 2]
        ends_inside = len(parts) % 2 == self.inside
        follows = outside if self.inside else outside[1:]
        followed = outside if ends_inside else outside[:-1]
        if not {part[:1] for part in follows} <= self._behind or not {part[-1:] for part in followed} <= self._before:
            return None
        rows = b"".join(outside).count(b"\n")
        rest = _after_last_row(parts, int(self.inside)) if ends_inside and rows else 0
        self.inside = ends_inside
        return rows, rest

    def spans(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Go through whole lines: (end, rows) says that so many rows end up to there.

        Where they are several, every LF of the span ends one.
        """
        position, size = 0, len(block)
        while position < size:
            quote = block.find(b'"', position)
            line = size if quote < 0 else block.rfind(b"\n", position, quote) + 1
            if line > position:
                yield line, 0 if self.inside else block.count(b"\n", position, line)
                position = line
            if quote < 0:
                return
            end = block.find(b"\n", quote) + 1
            closes = self._completes if self.inside else self._complete
            self.inside = closes(block, position, end - 1) is None
            yield end, 0 if self.inside else 1
            position = end


class Cutter:
    """Cuts what it is fed into pieces: of `rows` rows each, or ending with the row that reaches `size` bytes.

    start: the byte of the file with which feeding begins, where a row must begin; first_row: the number of that row.
    Errors name rows as people find them (`FileFormat.shown`).
    """

    def __init__(
        self,
        format: FileFormat,
        delimiter: str = ",",
        *,
        rows: int = sys.maxsize,
        size: int = sys.maxsize,
        start: int = 0,
        first_row: int = 1,
    ) -> None:
        self._lines = _Quoted(delimiter) if format is FileFormat.CSV else _Lines()
        self._shown = format.shown
        self._most_rows, self._most_bytes = rows, size
        # The piece that is open: where it begins, its first row, its rows so far.
        self._start, self._first_row, self._rows = start, first_row, 0
        # Where the row begins that is not over, and the line; and what there is of that line.
        self._row_at = self._line_at = self._fed = start
        self._line: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Cut]:
        """Go on with the file; returns the pieces that are complete. Raises: SheetError for a row without end."""
        cuts: list[Cut] = []
        self._fed += len(chunk)
        end = chunk.rfind(b"\n") + 1
        if end:
            block = b"".join((*self._line, chunk[:end]))
            self._line = [chunk[end:]]
            self._take(block, cuts)
        else:
            self._line.append(chunk)
        self._limit(self._fed)
        return cuts

    def finish(self) -> list[Cut]:
        """The file is over. Raises: SheetError if a quote is still open."""
        cuts: list[Cut] = []
        if self._line_at < self._fed:
            self._take(b"".join((*self._line, b"\n")), cuts)
        if self._lines.inside:
            raise SheetError(
                f"Row {self._shown(self._row):,} opens a quote that is never closed, so the rows after it belong to it."
                ' Close the quote and start again; a quote inside a cell is written twice ("").'
            )
        if self._rows:
            self._cut(self._fed, cuts)
        return cuts

    @property
    def _row(self) -> int:
        """The number of the row that is not over."""
        return self._first_row + self._rows

    def _take(self, block: bytes, cuts: list[Cut]) -> None:
        """Go through whole lines, some at a time."""
        start, size = 0, len(block)
        while start < size:
            end = block.rfind(b"\n", start, start + _STRETCH) + 1 or block.find(b"\n", start) + 1
            part = block if end - start == size else block[start:end]
            swept = self._lines.sweep(part) if self._is_amid(part) else None
            if swept is None:
                self._look(part, cuts)
            elif swept[0]:
                self._rows += swept[0]
                self._row_at = self._line_at + len(part) - swept[1]
            self._line_at += len(part)
            start = end

    def _is_amid(self, part: bytes) -> bool:
        """Whether lines are sure to lie within the open piece, and no row of them to be too long."""
        end = self._line_at + len(part)
        if end - self._start >= self._most_bytes or end - self._row_at > MAX_RECORD:
            return False
        return self._rows + part.count(b"\n") < self._most_rows

    def _look(self, block: bytes, cuts: list[Cut]) -> None:
        """Go through whole lines, looking at each that holds quotes."""
        origin, position = self._line_at, 0
        for end, rows in self._lines.spans(block):
            if rows > 1:
                self._limit_each(block, position, end)
            else:
                self._limit(min(origin + end, self._fed))
            if rows:
                self._add(block, position, end, rows, cuts)
                self._row_at = origin + end
            position = end

    def _add(self, block: bytes, position: int, end: int, rows: int, cuts: list[Cut]) -> None:
        """Add a span of rows to the piece that is open, and to others as it is full."""
        origin = self._line_at
        while rows:
            cut, taken = end, rows
            if rows > 1:
                taken = min(rows, self._most_rows - self._rows)
                cut = end if taken == rows else _after(block, position, end, taken)
                full = block.find(b"\n", max(position, self._start + self._most_bytes - origin - 1), cut) + 1
                if 0 < full < cut:
                    cut, taken = full, block.count(b"\n", position, full)
            self._rows += taken
            rows -= taken
            position = cut
            if self._rows == self._most_rows or origin + cut - self._start >= self._most_bytes:
                self._cut(min(origin + cut, self._fed), cuts)

    def _cut(self, end: int, cuts: list[Cut]) -> None:
        cuts.append(Cut(self._start, end, self._first_row, self._rows))
        self._start, self._first_row, self._rows = end, self._row, 0

    def _limit_each(self, block: bytes, position: int, end: int) -> None:
        """Raise a SheetError if a row of a span of several is too long."""
        begin = position
        while end - begin > MAX_RECORD:
            whole = block.rfind(b"\n", begin, begin + MAX_RECORD) + 1
            if not whole:
                raise _too_long(self._shown(self._row + block.count(b"\n", position, begin)))
            begin = whole

    def _limit(self, end: int) -> None:
        """Raise a SheetError if the row that is not over is too long. end: how far it goes at least."""
        if end - self._row_at > MAX_RECORD:
            raise _too_long(self._shown(self._row))


def cut(data: bytes, format: FileFormat, delimiter: str, rows: int, first_row: int = 1) -> list[Cut]:
    """Cut a piece of a file into pieces of `rows` rows. Raises: SheetError."""
    cutter = Cutter(format, delimiter, rows=rows, size=len(data) + 1, first_row=first_row)
    return [*cutter.feed(data), *cutter.finish()]


def _too_long(row: int) -> SheetError:
    return SheetError(
        f"Row {row:,} is longer than {MAX_RECORD:,} bytes: probably a quote opens there and is never closed. "
        'Correct it and start again; a quote inside a cell is written twice ("").'
    )


def _after_last_row(parts: list[bytes], outside: int) -> int:
    """How many bytes follow the last LF outside of quotes. parts: of a block, parted at its quotes; outside: the first
    of those that are not quoted, of which one holds an LF."""
    last = next(i for i in range(len(parts) - 1, -1, -1) if i % 2 == outside and b"\n" in parts[i])
    return len(parts[last]) - parts[last].rfind(b"\n") - 1 + sum(1 + len(part) for part in parts[last + 1 :])


def _after(block: bytes, position: int, end: int, count: int) -> int:
    """Where the line ends that is the `count`-th from a position on; there are as many up to `end`."""
    while end - position > _NEAR:
        middle = (position + end) // 2
        found = block.count(b"\n", position, middle)
        if found < count:
            position, count = middle, count - found
        else:
            end = middle
    for _ in range(count):
        position = block.find(b"\n", position) + 1
    return position
