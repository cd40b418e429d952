"""Long proofs take turns, and each comes within three commits."""

import subprocess
from pathlib import Path

import pytest

from tests.rotation import THIRDS, VARIABLE, in_turn, third_of_run

NAMES = [f"test_{n}" for n in range(43)]


def test_three_thirds_are_all_and_none_comes_twice() -> None:
    turns = [in_turn(NAMES, third) for third in range(THIRDS)]
    assert sorted(name for turn in turns for name in turn) == sorted(NAMES)
    assert max(map(len, turns)) - min(map(len, turns)) <= 1


def test_three_commits_in_a_row_try_all(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    seen = []
    for _ in range(THIRDS):
        git("commit", "--allow-empty", "-m", "change")
        seen.append(third_of_run(tmp_path, {})[0])
    assert sorted(seen) == [0, 1, 2]
    assert third_of_run(tmp_path, {})[0] == seen[-1]


def test_without_a_history_the_day_decides(tmp_path: Path) -> None:
    third, why = third_of_run(tmp_path, {})
    assert third in range(THIRDS)
    assert "no history" in why


def test_a_third_can_be_named(tmp_path: Path) -> None:
    assert third_of_run(tmp_path, {VARIABLE: "3"}) == (2, "by MEPUSH_THIRD")
    with pytest.raises(ValueError, match="1, 2 or 3"):
        third_of_run(tmp_path, {VARIABLE: "4"})
