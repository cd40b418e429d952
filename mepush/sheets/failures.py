"""Why a file, or a row of it, cannot be read."""

from enum import StrEnum


class SheetError(Exception):
    """A file cannot be read as a whole. problem: why, in plain words, and what to do about it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class RowReason(StrEnum):
    """Why a row cannot be sent, beside the reasons that single messages have too."""

    ERASED = "erased"
    COLUMNS_WRONG = "columns_wrong"
    NOT_CSV = "not_csv"
    NOT_JSON = "not_json"
    NOT_UTF8 = "not_utf8"
    REFERENCE_INVALID = "reference_invalid"
    TIME_ZONE_UNKNOWN = "time_zone_unknown"
    TOO_LARGE = "too_large"
    VARIABLE_INVALID = "variable_invalid"
    VARIABLE_MISSING = "variable_missing"
