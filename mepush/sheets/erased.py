"""What stands in a file of recipients where the row of an erased person was.

The row keeps its place and its bytes, so that nothing behind it moves, and is rejected by whoever reads it.
"""

from typing import Any

CSV_MARK = "#erased"
JSON_MARK = '{"erased":true}'


def filler(record: bytes, mark: str) -> bytes:
    """What takes the place of a row: as long as it is, with its end of line. Too short a row becomes a blank one."""
    body = record.rstrip(b"\r\n")
    end = record[len(body) :]
    word = mark.encode() if len(mark) <= len(body) else b""
    return word.ljust(len(body)) + end


def is_erased(content: Any) -> bool:
    """Whether a row, as it was read, stands for one that was erased."""
    return content in ([CSV_MARK], {"erased": True})
