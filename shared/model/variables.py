"""Variables: the values that fill a template in, for one recipient or shared by all of a request."""

from collections.abc import Mapping
from itertools import chain
from math import isfinite
from typing import Any

_NOT_FINITE = "holds a number that is not finite"


def check_variables(
    variables: Mapping[str, Any], max_depth: int = 4, max_list: int = 200, max_string: int = 20_000
) -> str | None:
    """Say what makes these variables too large to fill a template in, or None when they are fine.

    max_depth: lists and objects within each other, below the variable's name. max_list: entries of each list and
    object. max_string: characters of each string and name. The sentence names the variable, never a value.
    """
    if len(variables) > max_list:
        return f"there are {len(variables):,} variables, more than {max_list}"
    for name, value in variables.items():
        if len(name) > max_string:
            return f"a variable has a name of more than {max_string:,} characters"
        if type(value) is str and len(value) <= max_string:
            continue
        problem = _check_value(value, max_depth, max_list, max_string)
        if problem is not None:
            return f"`{name[:60]}` {problem}"
    return None


def _check_value(value: Any, depth: int, max_list: int, max_string: int) -> str | None:
    if isinstance(value, str):
        if len(value) > max_string:
            return f"has a text of {len(value):,} characters, more than {max_string:,}"
    elif isinstance(value, float):
        if not isfinite(value):
            return _NOT_FINITE
    elif isinstance(value, dict | list):
        return _check_nested(value, depth, max_list, max_string)
    elif not (value is None or isinstance(value, int)):
        return "holds something that JSON has no word for"
    return None


def _check_nested(value: dict[str, Any] | list[Any], depth: int, max_list: int, max_string: int) -> str | None:
    if depth == 0:
        return "is nested too deeply"
    if len(value) > max_list:
        return f"has a list or object of {len(value):,} entries, more than {max_list}"
    # The names of an object are texts like any other.
    for entry in chain(value, value.values()) if isinstance(value, dict) else value:
        problem = _check_value(entry, depth - 1, max_list, max_string)
        if problem is not None:
            return problem
    return None


def not_finite(variables: Mapping[str, Any]) -> str | None:
    """Name a variable that holds a number such as 1e999, beyond what can be calculated with, or None."""
    for name, value in variables.items():
        if not _finite(value):
            return f"`{name[:60]}` {_NOT_FINITE}"
    return None


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list) else True
