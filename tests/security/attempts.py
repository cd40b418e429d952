"""Counts what an attacker tries and what gets through: a run says how much was tried, not only that it passed."""

from pathlib import Path

REPORT = Path(__file__).parents[2] / "build" / "attempts.txt"
"""A line per test; `tests/conftest.py` prints the sums at the end of a run."""
_SHOWN = 20


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
