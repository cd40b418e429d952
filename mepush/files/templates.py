"""Templates as files that people keep in git: one TOML file per template, long bodies beside it."""

import base64
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mepush.client.errors import FileError
from shared.api.manage import TemplateCreate
from shared.model.findings import details, plain_words

_SUFFIX = "_file"
_BYTES = frozenset({"data"})
"""Content fields that hold bytes, in base64."""


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template as its file says it should be."""

    path: Path
    wanted: TemplateCreate

    @property
    def body(self) -> dict[str, Any]:
        """The request that creates it."""
        return self.wanted.model_dump(mode="json", by_alias=True, exclude_none=True)


def find_files(paths: list[Path]) -> list[Path]:
    """The template files named, and those directly in the folders named, sorted. Raises: FileError for none."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.iterdir() if p.suffix == ".toml") if path.is_dir() else [path]
    if not found:
        raise FileError("There is no template file there.", "A template is a .toml file; see examples/templates.")
    return found


def in_order(files: list[TemplateFile]) -> list[TemplateFile]:
    """The files in an order in which each comes after the one to which its template falls back."""
    by_id = {file.wanted.id: file for file in files}
    found: dict[str, TemplateFile] = {}

    def add(file: TemplateFile, users: frozenset[str]) -> None:
        other = by_id.get(file.wanted.fallback.template) if file.wanted.fallback is not None else None
        # A ring is refused by the platform, which says how to mend it.
        if other is not None and other.wanted.id not in users:
            add(other, users | {other.wanted.id})
        found.setdefault(str(file.path), file)

    for file in files:
        add(file, frozenset({file.wanted.id}))
    return list(found.values())


def read_template(path: Path) -> TemplateFile:
    """Read one template file. A content field `<name>_file` is filled with the text of that file; so is `data_file` of
    an attachment, with its bytes.

    The file must lie in the template's own folder or below it. Raises: FileError naming each field that is wrong.
    """
    data = read_toml(path)
    content = data.get("content")
    if not isinstance(content, dict):
        raise FileError(f"{path} has no [content] table.")
    data["content"] = _filled(path, content)
    try:
        return TemplateFile(path, TemplateCreate.model_validate(data))
    except ValidationError as error:
        raise FileError(f"{path} is not a template.", details=field_errors(error)) from None


def _filled(path: Path, table: dict[str, Any], where: str = "") -> dict[str, Any]:
    """A table with the contents of the files that it names."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name.endswith(_SUFFIX):
            found[name.removesuffix(_SUFFIX)] = _side_file(path, where + name, value)
        elif name == "attachments" and isinstance(value, list):
            found[name] = [
                _filled(path, entry, f"{name}.{i}.") if isinstance(entry, dict) else entry
                for i, entry in enumerate(value)
            ]
        else:
            found[name] = value
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises: FileError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is not TOML: {error}.") from None


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """pydantic's findings as (field, message) pairs, never with the values, which may be secret."""
    return [(_path(found["loc"]), plain_words(found)) for found in details(error)]


def _path(loc: tuple[int | str, ...]) -> str:
    # Validators and the variant of the content are named too; in the file they are nowhere.
    parts = loc[:1] + loc[2:] if loc[:1] == ("content",) else loc
    return ".".join(str(part) for part in parts if not str(part).startswith("function-"))


def _side_file(path: Path, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FileError(f"{path}: content.{name} must be the name of a file.")
    side = (path.parent / value).resolve()
    if not side.is_relative_to(path.parent.resolve()):
        raise FileError(f"{path}: content.{name} must name a file in the template's own folder.")
    try:
        if name.rpartition(".")[2].removesuffix(_SUFFIX) in _BYTES:
            return base64.b64encode(side.read_bytes()).decode()
        return side.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise FileError(f"{path}: content.{name} cannot be read.") from None
