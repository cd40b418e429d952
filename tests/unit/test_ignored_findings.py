"""What a checker is told to overlook has its reason beside it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "examples", "functions", "infra", "local", "mepush", "shared", "tests")
# Put together, so that this file has none itself.
_MARK = re.compile("# ?(?:no" + "qa|type: ig" + "nore|no" + r"sec|pragma: no cover)\b(?:: ?[A-Z0-9, ]+\b|\[[^\]]*\])?")


def without_reason(text: str) -> list[str]:
    """The lines that silence a checker and do not say why."""
    found = ((line, _MARK.search(line)) for line in text.splitlines())
    return [line for line, mark in found if mark and not line[mark.end() :].strip(" -#")]


def test_whatever_is_overlooked_has_its_reason_beside_it() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert len(files) > 500
    assert {str(path): lines for path in files if (lines := without_reason(path.read_text(encoding="utf-8")))} == {}


def test_a_mark_without_a_reason_is_found() -> None:
    bare = ["x = 1  # no" + "qa: S311", "x = 1  # type: ig" + "nore[arg-type, misc]", "x = 1  # no" + "qa"]
    assert without_reason("\n".join(bare)) == bare
    assert without_reason("\n".join(f"{line} - why" for line in bare)) == []
