"""A figure and how figures are measured and written down."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent.parent / "build" / "bench.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. value: of ours, in `unit`. baseline: what it is compared with, `baseline_value` in the same unit.

    most: the most that the ratio (or without a baseline the value) should be.
    """

    name: str
    value: float
    unit: str
    baseline: str = ""
    baseline_value: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the baseline's."""
        return self.value / self.baseline_value if self.baseline_value else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        judged = self.value if self.ratio is None else self.ratio
        return None if self.most is None else judged <= self.most


def cpu_medians(runs: Sequence[Callable[[], int]], rounds: int = 7) -> list[float]:
    """Processor microseconds (all threads) per item of each run, the median over rounds that take turns.

    A run returns how many items it did.
    """
    seen: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, seen, strict=True):
            started = time.process_time()
            items = run()
            found.append((time.process_time() - started) / items * 1e6)
    return [statistics.median(found) for found in seen]


def report(figures: Sequence[Figure]) -> None:
    """Print a table and write `build/bench.json`."""
    table = Table("figure", "value", "unit", "baseline", "ratio", "at most", "met")
    for f in figures:
        ratio = "" if f.ratio is None else f"{f.ratio:.3f}"
        baseline = "" if f.baseline_value is None else f"{f.baseline}: {f.baseline_value:.2f}"
        met = {True: "yes", False: "NO", None: ""}[f.met]
        table.add_row(f.name, f"{f.value:.2f}", f.unit, baseline, ratio, f"{f.most:.3g}" if f.most else "", met)
    Console(width=150).print(table)
    OUT.parent.mkdir(exist_ok=True)
    values = {
        f.name: {"value": f.value, "unit": f.unit, "baseline": f.baseline_value, "ratio": f.ratio} for f in figures
    }
    OUT.write_text(json.dumps(values, indent=1) + "\n")
