"""Processor time until the command shows its help, against importing the packages that it needs."""

import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from bench.figures import Figure

_ROUNDS = 15
_HELP = [str(Path(sys.executable).with_name("mepush")), "--help"]
_IMPORT = [sys.executable, "-c", "import httpx, typer, rich"]


def run() -> list[Figure]:
    """Processor time of the start."""
    seen: dict[str, list[float]] = {"help": [], "import": []}
    for _ in range(_ROUNDS):
        for name, command in (("help", _HELP), ("import", _IMPORT)):
            seen[name].append(_cpu_ms(command))
    ours, theirs = median(seen["help"]), median(seen["import"])
    return [Figure("mepush --help", ours, "CPU ms", "import httpx, typer, rich", theirs, most=1.3)]


def _cpu_ms(command: list[str]) -> float:
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
