"""Long proofs take turns, and each comes within five commits."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.rotation import PARTS, VARIABLE, in_turn, part_of_run

ROOT = Path(__file__).parents[2]
NAMES = [f"test_{n}" for n in range(43)]


def test_the_parts_are_all_and_none_comes_twice() -> None:
    turns = [in_turn(NAMES, part) for part in range(PARTS)]
    assert sorted(name for turn in turns for name in turn) == sorted(NAMES)
    assert max(map(len, turns)) - min(map(len, turns)) <= 1


def test_as_many_commits_in_a_row_try_all(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    seen = []
    for _ in range(PARTS):
        git("commit", "--allow-empty", "-m", "change")
        seen.append(part_of_run(tmp_path, {})[0])
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert part_of_run(tmp_path, {})[0] == seen[-1]


def test_without_a_history_the_day_decides(tmp_path: Path) -> None:
    part, why = part_of_run(tmp_path, {})
    assert part in range(PARTS)
    assert "no history" in why


def test_a_part_can_be_named(tmp_path: Path) -> None:
    assert part_of_run(tmp_path, {VARIABLE: "3"}) == (2, "by MEPUSH_PART")
    with pytest.raises(ValueError, match="from 1 to 5"):
        part_of_run(tmp_path, {VARIABLE: "6"})


def test_all_of_them_are_among_the_guarantees() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^guarantees:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    named = [word for word in recipe[1].split() if word.startswith("tests/")]
    mark = "mark." + "rotates"
    marked = [
        path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py") if mark in path.read_text()
    ]
    assert len(marked) >= 6
    assert [path for path in marked if not path.startswith(tuple(named))] == []
