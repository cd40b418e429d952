"""TOML files as people write them, as JSON has their values; and which fields they may have.

Only names are looked at here, so that a slip of the pen is found before anything is sent. The API judges the values.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from mepush.client.errors import FileError

Fields = Mapping[str, Any]
"""Names of fields; for each None, the `Fields` of a table, or those of a list's tables in a list."""
ANY: Fields = {"*": None}
"""A table whose names are free."""
Finding = tuple[str, str]
"""A field, and what is wrong with it."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; times become texts, as JSON has none. Raises: FileError."""
    try:
        return {name: _plain(path, name, value) for name, value in _read(path).items()}
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is not TOML: {error}.") from None


def check_names(path: Path, what: str, data: Mapping[str, Any], fields: Fields, needed: tuple[str, ...] = ()) -> None:
    """See that a file has no field that there is not, and those that it needs. what: it is to be, such as `a template`.

    Raises: FileError with each field that is wrong, never with a value, which may be secret.
    """
    findings = [(name, "is missing; give it") for name in needed if name not in data]
    findings += _unknown(data, fields, "")
    if findings:
        raise FileError(f"{path} is not {what}.", details=findings)


def _unknown(data: Mapping[str, Any], fields: Fields, where: str) -> Iterator[Finding]:
    for name, value in data.items():
        inner = fields.get(name)
        if name not in fields and "*" not in fields:
            yield where + name, "there is no such field; is it misspelt?"
        elif inner is not None:
            yield from _inside(value, inner, where + name)


def _inside(value: Any, fields: Any, where: str) -> Iterator[Finding]:
    if isinstance(fields, list):
        if not isinstance(value, list):
            yield where, "must be a list of tables"
            return
        for i, each in enumerate(value):
            yield from _inside(each, fields[0], f"{where}.{i}")
    elif isinstance(value, Mapping):
        yield from _unknown(value, fields, f"{where}.")
    else:
        yield where, "must be a table"


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def _plain(path: Path, where: str, value: Any) -> Any:
    """A value of TOML as JSON has it. Raises: FileError for a number that JSON has not."""
    if isinstance(value, dict):
        return {name: _plain(path, f"{where}.{name}", each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(path, f"{where}.{i}", each) for i, each in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise FileError(f"{path}: {where} must be a number that is finite.")
    return value.isoformat() if isinstance(value, date | time) else value
