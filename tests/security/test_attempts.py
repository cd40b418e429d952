"""The counter of attempts: it fails for a breach, and if nothing was tried."""

from pathlib import Path

import pytest

from tests.security import attempts as module
from tests.security.attempts import Attempts, summary


@pytest.fixture(autouse=True)
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A report of this test's own, not the run's."""
    path = tmp_path / "attempts.txt"
    monkeypatch.setattr(module, "REPORT", path)
    return path


def test_what_held_is_counted(report: Path) -> None:
    made = Attempts("keys")
    made.check("one", held=True)
    made.check("two", held=True)
    made.close()
    assert report.read_text(encoding="utf-8") == "keys: 2 attempts, 0 breaches\n"


def test_a_breach_fails_and_is_named(report: Path) -> None:
    made = Attempts("keys")
    made.check("read another tenant", held=False)
    with pytest.raises(AssertionError, match="1 of 1 attempts got through:\nread another tenant"):
        made.close()
    assert report.read_text(encoding="utf-8") == "keys: 1 attempts, 1 breaches\n"


def test_no_attempt_is_no_proof() -> None:
    with pytest.raises(AssertionError, match="nothing was tried"):
        Attempts("keys").close()


def test_tests_with_parameters_are_summed_up() -> None:
    lines = ["a[x: 1]: 2 attempts, 0 breaches", "a[y]: 1000 attempts, 1 breaches", "b: 3 attempts, 0 breaches"]
    assert list(summary(lines)) == [
        "a: 1,002 attempts, 1 breaches",
        "b: 3 attempts, 0 breaches",
        "in all: 1,005 attempts, 1 breaches",
    ]
