"""Counts what an attacker tries and what gets through: a run says how much was tried, not only that it passed."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

REPORT = Path(__file__).parents[2] / "build" / "attempts.txt"
"""A line per test; `tests/conftest.py` prints the sums at the end of a run."""
_SHOWN = 20
_LINE = re.compile(r"(?P<test>[^:\[]+).*: (?P<tried>\d+) attempts, (?P<breaches>\d+) breaches\Z")


def summary(lines: list[str]) -> Iterator[str]:
    """The report's lines summed up by test, whatever its parameters, and over all."""
    tried: Counter[str] = Counter()
    breaches: Counter[str] = Counter()
    for found in map(_LINE.fullmatch, lines):
        if found is not None:
            for name in (found["test"], "in all"):
                tried[name] += int(found["tried"])
                breaches[name] += int(found["breaches"])
    for name in sorted(tried, key=lambda name: (name == "in all", name)):
        yield f"{name}: {tried[name]:,} attempts, {breaches[name]:,} breaches"


class Attempts:
    """The attempts of one test. A test that makes none fails, and so does one with a breach."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tried = 0
        self._breaches: list[str] = []

    def check(self, what: str, *, held: bool) -> None:
        """Count one attempt; `what` names it should it be a breach (`held` is False)."""
        self._tried += 1
        if not held:
            self._breaches.append(what)

    def close(self) -> None:
        """Add the counts to the report. Raises: AssertionError for a breach, or if nothing was tried."""
        REPORT.parent.mkdir(exist_ok=True)
        with REPORT.open("a", encoding="utf-8") as report:
            report.write(f"{self._name}: {self._tried} attempts, {len(self._breaches)} breaches\n")
        assert self._tried, "nothing was tried"
        shown = "\n".join(self._breaches[:_SHOWN])
        assert not self._breaches, f"{len(self._breaches)} of {self._tried} attempts got through:\n{shown}"
