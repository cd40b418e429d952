"""What pydantic finds wrong with data, in plain words and never with the values, which may be secret."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_TEXT = "must be a text"
_OBJECT = "must be a JSON object"
_LIST = "must be a list"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_TIME = "must be a time with its offset, such as 2025-01-15T08:00:00Z"

_WORDS: dict[str, str] = {
    "missing": "is missing; give it",
    "extra_forbidden": "there is no such field; is it misspelt?",
    "string_type": _TEXT,
    "string_unicode": "must be a text in UTF-8",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} character(s)",
    "string_pattern_mismatch": "does not fit the pattern {pattern}",
    "bytes_type": _TEXT,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "invalid_key": "must have texts as names",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "union_tag_not_found": "must say its {discriminator}",
    "union_tag_invalid": "its {discriminator} must be one of {expected_tags}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
}
"""By pydantic's types of errors; in braces what an error's context holds: limits and names of ours, never values."""


def details(error: ValidationError) -> list[ErrorDetails]:
    """What was found, without the values."""
    return error.errors(include_url=False, include_input=False)


def plain_words(found: ErrorDetails) -> str:
    """What is wrong; the words of our own checks are kept as they are."""
    kind = found["type"]
    if kind == "value_error":
        return found["msg"].removeprefix("Value error, ")
    return _WORDS.get(kind, "is not valid").format_map(found.get("ctx", {}))
