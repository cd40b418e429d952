"""How files of recipients are written."""

from enum import StrEnum


class FileFormat(StrEnum):
    """How an audience file is written. Either may be compressed with gzip, which is noticed by itself."""

    CSV = "csv"
    NDJSON = "ndjson"

    def shown(self, number: int) -> int:
        """The number by which people find a row: a CSV's in a spreadsheet, where the header is row 1, else the line's.

        number: as it is kept, from 1 and without a header.
        """
        return number + 1 if self is FileFormat.CSV else number
