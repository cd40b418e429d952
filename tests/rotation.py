"""Long proofs take turns: a plain run tries a third of them, three runs on the way try all, `--whole` tries all.

A proof is a test with the mark `rotates`. Its third follows from its place among all that are marked. Which third a run
tries follows from the number of commits: each commit goes on to the next third, so whatever a change breaks is seen by
the run of that commit or of the two after it, and a repeated run of one commit tries the same.
"""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

THIRDS = 3
VARIABLE = "MEPUSH_THIRD"
"""Names a third, 1 to 3, instead: to repeat the run of another commit."""


def third_of_run(root: Path, env: dict[str, str]) -> tuple[int, str]:
    """Which third a run tries, 0 to 2, and what that follows from. Raises: ValueError for another one."""
    named = env.get(VARIABLE)
    if named is not None:
        if named not in {"1", "2", "3"}:
            raise ValueError(f"{VARIABLE} is 1, 2 or 3")
        return int(named) - 1, f"by {VARIABLE}"
    commits = _commits(root)
    if commits is not None:
        return commits % THIRDS, f"by the number of commits, {commits}"
    # An export or a shallow clone has no history to count.
    day = datetime.now(UTC).toordinal()
    return day % THIRDS, "by the day, since there is no history"


def _commits(root: Path) -> int | None:
    def git(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=30, check=False)
        return ran.stdout.strip() if ran.returncode == 0 else ""

    try:
        whole = git("rev-parse", "--is-shallow-repository") == "false"
        counted = git("rev-list", "--count", "HEAD") if whole else ""
    except (OSError, subprocess.TimeoutExpired):
        return None
    return int(counted) if counted.isdecimal() else None


def in_turn(names: list[str], third: int) -> set[str]:
    """Those of all marked tests whose turn it is."""
    return {name for place, name in enumerate(sorted(names)) if place % THIRDS == third}


def chosen(root: Path) -> tuple[int, str]:
    """As `third_of_run`, for this process."""
    return third_of_run(root, dict(os.environ))
