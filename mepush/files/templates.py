"""Templates as files that people keep in git: one TOML file per template, long bodies beside it."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mepush.client.errors import FileError
from mepush.files.toml import Fields, check_names, read_toml

FIELDS: Fields = dict.fromkeys(
    (
        "id",
        "name",
        "class",
        "accounts",
        "ttl_seconds",
        "policies",
        "fallback",
        "topic",
        "tracking",
        "content",
        "sample",
        "note",
    )
)
NEEDED = ("id", "name", "class", "accounts", "content")
_SUFFIX = "_file"
_BYTES = frozenset({"data"})
"""Content fields that hold bytes, in base64."""


@dataclass(frozen=True, slots=True)
class TemplateFile:
    """A template as its file says it should be. body: the request that creates it."""

    path: Path
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The template's id."""
        return str(self.body["id"])

    @property
    def falls_back_to(self) -> str | None:
        """The id of the template to which it falls back, if the file names one."""
        fallback = self.body.get("fallback")
        return fallback.get("template") if isinstance(fallback, dict) else None


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
    by_id = {file.id: file for file in files}
    found: dict[str, TemplateFile] = {}

    def add(file: TemplateFile, users: frozenset[str]) -> None:
        other = by_id.get(file.falls_back_to or "")
        # A ring is refused by the platform, which says how to mend it.
        if other is not None and other.id not in users:
            add(other, users | {other.id})
        found.setdefault(str(file.path), file)

    for file in files:
        add(file, frozenset({file.id}))
    return list(found.values())


def read_template(path: Path) -> TemplateFile:
    """Read one template file. A content field `<name>_file` is filled with the text of that file; so is `data_file` of
    an attachment, with its bytes.

    The file must lie in the template's own folder or below it. Raises: FileError, also naming each field that there is
    not, or that is missing; what its values must be the API says.
    """
    data = read_toml(path)
    content = data.get("content")
    if not isinstance(content, dict):
        raise FileError(f"{path} has no [content] table.")
    data["content"] = _filled(path, content)
    check_names(path, "a template", data, FIELDS, NEEDED)
    return TemplateFile(path, data)


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
