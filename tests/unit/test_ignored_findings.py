"""What a checker is told to overlook, and whatever catches all errors, has its reason beside it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "examples", "functions", "infra", "local", "mepush", "shared", "tests")
# Put together, so that this file has none itself.
_MARK = re.compile("# ?(?:no" + "qa|type: ig" + "nore|no" + r"sec|pragma: no cover)\b(?:: ?[A-Z0-9, ]+\b|\[[^\]]*\])?")

_ALL = {"Exception", "BaseException"}


def without_reason(text: str) -> list[str]:
    """The lines that silence a checker and do not say why."""
    found = ((line, _MARK.search(line)) for line in text.splitlines())
    return [line for line, mark in found if mark and not line[mark.end() :].strip(" -#")]


def catching_all(text: str) -> list[str]:
    """The lines that catch whatever is raised and do not say why; what passes it on by `raise` alone is one as well."""
    lines = text.splitlines()
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ExceptHandler | ast.Call)]
    found = [lines[node.lineno - 1] for node in nodes if catches_all(node)]
    return [line for line in found if not line.partition("# ")[2]]


def catches_all(node: ast.ExceptHandler | ast.Call) -> bool:
    """Whether it is an `except` or a `suppress` of everything."""
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or bool(_ALL & names(node.type))
    return "suppress" in names(node.func) and bool(_ALL & names(node))


def names(node: ast.expr) -> set[str]:
    """The names in an expression."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def sources() -> dict[str, str]:
    """Every file of the project's Python, by its path."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert len(files) > 500
    return {str(path): path.read_text(encoding="utf-8") for path in files}


def test_whatever_is_overlooked_has_its_reason_beside_it() -> None:
    assert {path: lines for path, text in sources().items() if (lines := without_reason(text))} == {}


def test_whatever_catches_all_errors_has_its_reason_beside_it() -> None:
    assert {path: lines for path, text in sources().items() if (lines := catching_all(text))} == {}


def test_a_mark_without_a_reason_is_found() -> None:
    bare = ["x = 1  # no" + "qa: S311", "x = 1  # type: ig" + "nore[arg-type, misc]", "x = 1  # no" + "qa"]
    assert without_reason("\n".join(bare)) == bare
    assert without_reason("\n".join(f"{line} - why" for line in bare)) == []


def test_what_catches_all_errors_without_a_reason_is_found() -> None:
    for caught in ("Exception", "BaseException as error", "(OSError, Exception)", ""):
        line = f"except {caught}:".replace(" :", ":")
        assert catching_all(f"try:\n    x = 1\n{line}\n    pass") == [line]
        assert catching_all(f"try:\n    x = 1\n{line}  # why\n    pass") == []
    assert catching_all("with suppress(Exception):\n    x = 1") == ["with suppress(Exception):"]
    assert catching_all("try:\n    x = 1\nexcept OSError:\n    pass") == []
