"""Joins the parts of a run's rejects file into one."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import httpx

from mepush.client.api import Client, is_loopback, segment
from mepush.client.errors import ConnectionProblemError, FileError, MepushError
from mepush.sheets.header import DELIMITERS

_TIMEOUT_S = 120.0
_FIRST = "row"
"""The first column."""
_AGAIN = "Check your network and run the same again."


def save_rejects(
    api: Client, run: str, path: Path, progress: Callable[[int], None] = lambda rows: None
) -> tuple[int, int]:
    """Write the rejected rows of a run into a file, over the one that is there; returns rows and parts.

    The file is there whole or not at all. progress: called with the rows so far. Raises: MepushError.
    """
    made = path.with_name(f".{path.name}.part")
    try:
        with made.open("w", encoding="utf-8", newline="") as file:
            counts = _join(api.pages(f"/v1/runs/{segment(run)}/rejects", "files"), file, progress)
        made.replace(path)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            made.unlink()
    return counts


def _join(parts: Iterable[dict[str, Any]], file: TextIO, progress: Callable[[int], None]) -> tuple[int, int]:
    """Write the rows of all parts under the first one's header."""
    rows = count = 0
    for part in parts:
        delimiter, found = _rows(_download(part))
        writer = csv.writer(file, delimiter=delimiter)
        header = next(found, None)
        if header is not None and not count:
            # So that spreadsheets read it as UTF-8.
            file.write("\ufeff")
            writer.writerow(header)
        for cells in found:
            writer.writerow(cells)
            rows += 1
        count += 1
        progress(rows)
    return rows, count


def _rows(data: bytes) -> tuple[str, Iterator[list[str]]]:
    """The delimiter of a part, which is that of the audience file, and its rows."""
    text = data.decode("utf-8-sig", errors="replace")
    delimiter = text[len(_FIRST) : len(_FIRST) + 1] if text.startswith(_FIRST) else ""
    delimiter = delimiter if delimiter in DELIMITERS else ","
    return delimiter, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _download(part: dict[str, Any]) -> bytes:
    """The bytes of a part. The API key stays here. Raises: MepushError."""
    parts = urlsplit(part["url"])
    loopback = is_loopback((parts.hostname or "").lower())
    if parts.scheme != "https" and not loopback:
        raise MepushError("The API names a download that is not encrypted.", "Is this the address of a mePush API?")
    try:
        # A company's proxy cannot reach this machine's loopback.
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=not loopback) as http:
            answer = http.get(part["url"])
    except httpx.HTTPError:
        raise ConnectionProblemError(f"Nothing could be downloaded from {parts.hostname}.", _AGAIN) from None
    if answer.status_code == httpx.codes.NOT_FOUND:
        text = f"The part of the rejects file from row {part['first_row']:,} on is gone."
        raise MepushError(text, "A run's files are kept for 60 days; check the campaign anew.")
    if not answer.is_success:
        raise MepushError(f"{parts.hostname} refused a download with HTTP {answer.status_code}.", "Run the same again.")
    return answer.content
