"""Reads the rows of an audience file, or of a shard of it, whichever way it is written. Pure: no I/O."""

from collections.abc import Iterator
from typing import Protocol

from pydantic_core import from_json

from mepush.sheets.failures import RowReason
from mepush.sheets.formats import FileFormat
from mepush.sheets.reading import Content, Unreadable, not_utf8, read_cells


class Parted(Protocol):
    """What is known of a file. delimiter: what parts its cells."""

    @property
    def delimiter(self) -> str: ...


def read_rows(data: bytes, format: FileFormat, file: Parted, first: int = 0) -> Iterator[tuple[int, Content]]:
    """The rows of whole records, with their places in the shard; blank ones are left out, and keep their places.

    first: the place of the first one. Raises: SheetError if a quote is never closed.
    """
    if format is FileFormat.NDJSON:
        return _objects(data, first)
    return read_cells(data, file.delimiter, first)


def _objects(data: bytes, first: int) -> Iterator[tuple[int, Content]]:
    for index, line in enumerate(data.split(b"\n"), first):
        line = line.strip()
        if line:
            yield index, _object(line)


def _object(line: bytes) -> Content:
    try:
        found = from_json(line, allow_inf_nan=False)
    except ValueError:
        return _no_object(line)
    if isinstance(found, dict):
        return found
    return Unreadable(RowReason.NOT_JSON, 'is no JSON object, such as {"to": "..."}', line.decode())


def _no_object(line: bytes) -> Unreadable:
    try:
        return Unreadable(RowReason.NOT_JSON, "is not valid JSON; each line is one object", line.decode())
    except UnicodeDecodeError:
        return not_utf8(line)
