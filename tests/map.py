"""Writes `docs/map.md`: every file of the code with the first sentence of its docstring, folder by folder.

`python -m tests.map` writes it anew; `tests/unit/test_map.py` holds it to the tree.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "map.md"
FOLDERS = {
    "functions": "The Lambda functions: a folder each, or one for those that share their code.",
    "shared": "What more than one function uses.",
    "infra": "The CDK app: the stacks, their rights and alarms, stages, the packages of the functions.",
    "mepush": "The `mepush` command and the Python client of the API: all that the wheel holds.",
    "local": "The local stack: the real template and functions in one process, and sandbox providers.",
    "bench": "Benchmarks; `make bench` runs them.",
    "tests": "What the tests are made with; the tests lie beside it.",
}
"""The folders of the map, in order, and what each is."""
HEAD = """\
# Map

Every file of the code and what it does, in its own words: the first sentence of its docstring. To find where something
is decided, search this page for the word. Of the tests only what they are made with is here. Written by
`python -m tests.map`.
"""
_EMPTY = "__init__.py"


def page() -> str:
    """The page as the tree is now."""
    parts = (f"\n## `{top}/`\n\n{about}\n{''.join(_sections(ROOT / top))}" for top, about in FOLDERS.items())
    return HEAD + "".join(parts)


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring; empty if it has none."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    found = re.match(r"(.+?[.?!])(?=\s[A-Z`]|$)", first)
    return found[1] if found else first


def modules(top: Path) -> Iterator[Path]:
    """The modules of a folder and of those in it, but for tests, and for empty ones that only make a package."""
    for path in sorted(top.rglob("*.py")):
        if path.name.startswith("test_"):
            continue
        if path.name != _EMPTY or path.read_text(encoding="utf-8").strip():
            yield path


def _sections(top: Path) -> Iterator[str]:
    """A list of the modules of each folder."""
    by_folder: dict[Path, list[Path]] = {}
    for path in modules(top):
        by_folder.setdefault(path.parent, []).append(path)
    for folder in sorted(by_folder):
        if folder != top:
            yield f"\n### `{folder.relative_to(ROOT).as_posix()}/`\n"
        yield "\n"
        for path in by_folder[folder]:
            yield f"- `{path.name}`: {sentence(path)}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
