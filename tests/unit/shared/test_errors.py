"""The tree of errors, and the table that says what callers are told of each."""

import ast
import builtins
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.api.problems import TABLE, problem_of, row_of
from shared.errors import BusyError, LostError, PlatformError, RequestError, UnavailableError

ROOT = Path(__file__).parents[3]
FILES = [path for folder in ("shared", "functions") for path in sorted((ROOT / folder).rglob("*.py"))]


def classes(path: Path) -> list[ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name.endswith("Error")]


def below(kind: type[PlatformError]) -> Iterator[type[PlatformError]]:
    """A kind of errors and all below it."""
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def test_every_error_stands_in_the_tree() -> None:
    """But for texts that cannot be read, connections that cannot be made, and what never leaves a provider."""
    for path in FILES:
        outside = {"ValueError", "OSError", *(["Exception"] if "providers" in path.parts else [])}
        builtin = {base.id for node in classes(path) for base in node.bases if isinstance(base, ast.Name)} - outside
        alone = {name for name in builtin if isinstance(vars(builtins).get(name), type)}
        assert not alone or (path.name == "errors.py" and alone == {"Exception"}), path


def test_every_kind_of_error_has_a_status() -> None:
    for path in FILES:
        if classes(path):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    kinds = set(below(PlatformError)) - {PlatformError, RequestError}
    assert len(kinds) > 35
    assert [kind for kind in kinds if not any(each in TABLE for each in kind.__mro__)] == []


def test_statuses_go_with_what_can_be_done() -> None:
    for kind, row in TABLE.items():
        again = row.headers.keys() >= {"Retry-After"}
        assert issubclass(kind, RequestError) == (400 <= row.status < 500 and row.status not in (409, 429)), kind
        assert issubclass(kind, UnavailableError) == (row.status == 503), kind
        assert issubclass(kind, UnavailableError | BusyError | LostError) == again, kind


@pytest.mark.parametrize("kind", [kind for kind, row in TABLE.items() if row.detail])
def test_what_is_not_for_callers_is_not_told(kind: type[PlatformError]) -> None:
    problem = problem_of(kind("items of the table catalog", title="", errors=[]))
    assert problem.detail == row_of(kind()).detail
    assert "catalog" not in problem.model_dump_json()
