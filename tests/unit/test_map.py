"""The map of the code is the tree: each file is there with what it does, and nothing else is."""

import re
from pathlib import Path

import pytest

from tests import map as code_map
from tests.map import FOLDERS, PAGE, ROOT, modules, sentence


def test_the_page_is_the_tree() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == code_map.page(), "write it anew: .venv/bin/python -m tests.map"


@pytest.mark.parametrize("top", FOLDERS)
def test_every_file_says_in_one_sentence_what_it_does(top: str) -> None:
    silent = [path for path in modules(ROOT / top) if not re.search(r"[.?!]$", sentence(path))]
    assert [path.relative_to(ROOT).as_posix() for path in silent] == []


def test_every_folder_of_code_is_on_the_map() -> None:
    tops = {path.parent.parts[len(ROOT.parts)] for path in ROOT.glob("*/**/*.py") if not _is_made(path)}
    assert tops - {"examples", ".ci"} == set(FOLDERS)


def _is_made(path: Path) -> bool:
    """Whether it is no file of the project: installed, built, or a hidden folder's."""
    return any(part.startswith(".") or part in ("build", "cdk.out") for part in path.relative_to(ROOT).parts)
