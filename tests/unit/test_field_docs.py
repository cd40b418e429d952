"""What a field holds is said under it: no class docstring explains fields, or a name that is not there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "shared")
_EXPLAINS = re.compile(r"(?:^|(?<=[.;!?] ))([a-z_]\w*(?:, [a-z_]\w*)*): ")
"""How docstrings explain names: at the beginning of a sentence, `name: ...` or `one, another: ...`."""


def explained(doc: str) -> set[str]:
    """The names that a docstring explains."""
    parts = (" ".join(part.split()) for part in doc.split("\n\n"))
    return {name for part in parts for found in _EXPLAINS.finditer(part) for name in found[1].split(", ")}


def fields(node: ast.ClassDef) -> set[str]:
    """The annotated fields of a class."""
    return {
        item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def names(node: ast.ClassDef) -> set[str]:
    """All that a class's docstring may explain otherwise: methods and their parameters, attributes, members."""
    found = {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
    found |= {item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef)}
    found |= {item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute)}
    return found | {item.id.lower() for item in ast.walk(node) if isinstance(item, ast.Name)}


def classes() -> Iterator[tuple[str, ast.ClassDef, str]]:
    """Every class with a docstring: its file, itself, and the docstring."""
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and (doc := ast.get_docstring(node)):
                yield path.relative_to(ROOT).as_posix(), node, doc


def test_fields_are_explained_under_themselves() -> None:
    found = [(file, node.name, named) for file, node, doc in classes() if (named := explained(doc) & fields(node))]
    assert found == []


def test_no_docstring_explains_a_name_that_is_not_there() -> None:
    wrong = [
        (file, node.name, found)
        for file, node, doc in classes()
        if (found := explained(doc) - fields(node) - names(node))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("doc", "found"),
    [
        ("A thing. size: in bytes. start, end: where it is.", {"size", "start", "end"}),
        ("A thing.\n\nsize: in\nbytes; kind: whose.", {"size", "kind"}),
        ("What it starts reaches\neverybody: only a live key.", set()),
    ],
)
def test_what_a_docstring_explains(doc: str, found: set[str]) -> None:
    assert explained(doc) == found
