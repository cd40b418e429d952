"""Long proofs take turns: a plain run tries a fifth of them, five runs on the way try all, `--whole` tries all.

A proof is a test with the mark `rotates`. Its part follows from its place among all that are marked. Which part a run
tries follows from the number of commits: each commit goes on to the next part, so whatever a change breaks is seen by
the run of that commit or of the four after it, and a repeated run of one commit tries the same.
"""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PARTS = 5
VARIABLE = "MEPUSH_PART"
"""Names a part, 1 to 5, instead: to repeat the run of another commit."""


def part_of_run(root: Path, env: dict[str, str]) -> tuple[int, str]:
    """Which part a run tries, 0 to 4, and what that follows from. Raises: ValueError for another one."""
    named = env.get(VARIABLE)
    if named is not None:
        if named not in {str(part + 1) for part in range(PARTS)}:
            raise ValueError(f"{VARIABLE} is a number from 1 to {PARTS}")
        return int(named) - 1, f"by {VARIABLE}"
    commits = _commits(root)
    if commits is not None:
        return commits % PARTS, f"by the number of commits, {commits}"
    # An export or a shallow clone has no history to count.
    day = datetime.now(UTC).toordinal()
    return day % PARTS, "by the day, since there is no history"


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


def in_turn(names: list[str], part: int) -> set[str]:
    """Those of all marked tests whose turn it is."""
    return {name for place, name in enumerate(sorted(names)) if place % PARTS == part}


def chosen(root: Path) -> tuple[int, str]:
    """As `part_of_run`, for this process."""
    return part_of_run(root, dict(os.environ))
