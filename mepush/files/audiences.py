"""Uploads files of recipients, after a look at their first row: a wrong column is found here, not after the upload."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mepush.client.api import Client
from mepush.client.errors import FileError
from mepush.files.attachments import post_form
from mepush.output import Output
from mepush.sheets.encodings import as_utf8, form_of
from mepush.sheets.failures import SheetError
from mepush.sheets.formats import FileFormat
from mepush.sheets.header import find_column, read_header

MAX_BYTES = 5 * 1024**3
"""The largest file that one upload takes."""
_SUFFIXES = {".csv": FileFormat.CSV, ".ndjson": FileFormat.NDJSON, ".jsonl": FileFormat.NDJSON}
_FIRST_ROW = 1_000_000
"""Bytes in which the first row ends."""
_SAVE = "A CSV may also be compressed with gzip."
_MANY = 10_000_000


def format_of(name: str) -> FileFormat | None:
    """How a file is written, by its name; None if that does not tell."""
    return _SUFFIXES.get(Path(name.lower().removesuffix(".gz")).suffix)


def check_file(path: Path, format: FileFormat, columns: Mapping[str, Any]) -> None:
    """See whether a file may be uploaded, and a CSV has the columns named. columns: as a campaign's audience has them.

    Raises: FileError.
    """
    head = _head(path)
    over = len(head) < _FIRST_ROW
    try:
        text = b"".join(as_utf8([head], form_of(head, over)))
        header = read_header(text, format, over)
    except SheetError as error:
        raise FileError(f"{path}: {error.problem}", _SAVE) from None
    if format is not FileFormat.CSV or header is None:
        return
    wanted = {"--to-column": columns.get("to", "to"), "--time-zone-column": columns.get("time_zone")}
    wanted |= {"--reference-column": columns.get("reference")}
    wanted |= {f"--column {variable}=...": column for variable, column in columns.get("variables", {}).items()}
    for option, column in wanted.items():
        if column is not None and find_column(header.names, str(column)) is None:
            there = ", ".join(f"`{name}`" for name in header.names if name)
            problem = f"{path} has no column `{column}`; it has: {there}."
            raise FileError(problem, f"Name the right one with {option}, or in the file's [audience.columns].")


def upload(api: Client, out: Output, path: Path, format: FileFormat) -> str:
    """Upload a file; returns what a campaign's audience names it by. Raises: MepushError."""
    form = api.post("/v1/audiences", {"format": format.value}, repeat=True)
    size = path.stat().st_size
    if size > _MANY:
        out.say(f"Uploading {path.name} ({size / 1e6:,.0f} MB) ...")
    with path.open("rb") as file:
        post_form(form, str(path), file, "application/octet-stream")
    return str(form["file"])


def _head(path: Path) -> bytes:
    """The beginning of a file, unpacked. Raises: FileError."""
    try:
        size = path.stat().st_size
        if not size:
            raise FileError(f"{path} is empty.", "Give a file with a row for each recipient.")
        if size > MAX_BYTES:
            raise FileError(
                f"{path} is larger than {MAX_BYTES:,} bytes.",
                "Compress it with gzip, or copy it to the bucket yourself.",
            )
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if packed:
                with gzip.open(file) as unpacked:
                    return unpacked.read(_FIRST_ROW)
            return file.read(_FIRST_ROW)
    except (OSError, EOFError) as error:
        raise FileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
