"""What `make demo CAMPAIGN=1` shows, asserted, with fewer rows; and that its proofs can fail."""

import io
import runpy
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local import __main__ as program
from local import demo_campaign as demo
from local.demo_campaign import DemoError, Expected, Proof, Report, read_expected, run_campaign
from local.seed import EXAMPLES, first_key, seed
from local.stack import LocalStack

ROWS = 5_000
THROTTLE = 12_000
"""So many that the file takes several slices."""


@pytest.mark.xdist_group("local-stack")
def test_every_row_comes_to_its_end_once_in_spite_of_a_pause_and_a_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = io.StringIO()
    with LocalStack(port=0, memory=True) as stack:
        key = first_key(stack)
        seed(stack.url, key, stack.sandboxes)
        report = run_campaign(
            stack, key, Console(file=shown, width=200), ROWS, THROTTLE, timeout=60, folder=tmp_path / "c"
        )
    assert [proof for proof in report.proofs if not proof.ok] == []
    assert report.ok
    out = capsys.readouterr().out
    # The commands answered for real.
    assert "finished" in out and "columns_wrong" in out and "short" in out
    assert "The function was killed inside a shard" in shown.getvalue()
    assert "$ mepush campaign pause spring" in shown.getvalue()
    assert key not in shown.getvalue() + out
    report.show(Console(file=shown, width=200))
    assert "Every row came to its end, and none twice" in shown.getvalue()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    """What the generator says of its rows."""
    _, facts = runpy.run_path(str(EXAMPLES / "make_campaign.py"))["write"](tmp_path_factory.mktemp("c"), ROWS)
    return read_expected(facts)


def test_the_generator_always_writes_the_same_and_every_kind_of_row(tmp_path: Path, expected: Expected) -> None:
    write = runpy.run_path(str(EXAMPLES / "make_campaign.py"))["write"]
    one, other = write(tmp_path / "1", ROWS), write(tmp_path / "2", ROWS)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    reasons = {"address_invalid", "variable_missing", "columns_wrong", "not_utf8", "time_zone_unknown"}
    assert set(expected.rejected.values()) == reasons
    assert expected.suppressed < expected.good and expected.duplicates > 50
    assert expected.rows == len(expected.good) + expected.duplicates + len(expected.rejected) == ROWS - 1


def run(expected: Expected, sent: Counter[str]) -> dict[str, Any]:
    """A run that went as it must, with nobody held out."""
    rejected = len(expected.rejected)
    return {
        "state": "finished",
        "check": {
            "rows": expected.rows,
            "messages": len(expected.good),
            "held_out": 0,
            "duplicates": expected.duplicates,
            "rejected": [{"rows": rejected}],
        },
        "progress": {"accepted": len(expected.good), "outcomes": {"suppressed": len(expected.suppressed)}},
        "variants": [{"accepted": 1}, {"accepted": len(expected.good) - 1}],
    }


def wrong(expected: Expected, change: Callable[[dict[str, Any], Counter[str], dict[int, str]], None]) -> int:
    """How many proofs fail when something is not as it must be."""
    sent = Counter(dict.fromkeys(expected.good - expected.suppressed, 1))
    facts, rejects = run(expected, sent), dict(expected.rejected)
    change(facts, sent, rejects)
    return sum(not proof.ok for proof in demo._prove(facts, expected, sent, rejects))


def test_proofs_hold_where_all_is_well(expected: Expected) -> None:
    assert wrong(expected, lambda run, sent, rejects: None) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda run, sent, rejects: sent.update([next(iter(sent))]),
        lambda run, sent, rejects: sent.pop(next(iter(sent))),
        lambda run, sent, rejects: sent.update(["stranger@example.com"]),
        lambda run, sent, rejects: sent.update(["stop350@example.com"]),
        lambda run, sent, rejects: rejects.update({15: "variable_missing"}),
        lambda run, sent, rejects: rejects.pop(15),
        lambda run, sent, rejects: rejects.update({1: "address_invalid"}),
        lambda run, sent, rejects: run.update(state="failed"),
        lambda run, sent, rejects: run["check"].update(duplicates=1),
        lambda run, sent, rejects: run["check"].update(rows=1),
        lambda run, sent, rejects: run["variants"].pop(),
    ],
)
def test_a_proof_fails_where_something_is_wrong(expected: Expected, change: Any) -> None:
    assert wrong(expected, change) > 0


def test_books_that_do_not_balance_are_wrong(expected: Expected) -> None:
    before: dict[str, Any] = {"accepted": 5, "outcomes": {"sent": 5}, "in_flight": 0}
    after: dict[str, Any] = {"accepted": 8, "outcomes": {"sent": 7, "suppressed": 1}, "in_flight": 0}
    two = Counter({"a@example.com": 1, "b@example.com": 1})

    def failed(after: dict[str, Any], sent: Counter[str] = two) -> int:
        return sum(not proof.ok for proof in demo._prove_books(before, after, expected, sent))

    assert failed(after) == 0
    assert failed({**after, "accepted": 9}) == 1
    assert failed({**after, "in_flight": 1}) == 1
    assert failed(after, two + Counter({"c@example.com": 1})) == 1


def test_nothing_proven_is_not_well() -> None:
    assert not Report().ok
    assert Report([Proof("a", "b", True)]).ok
    assert not Report([Proof("a", "b", True), replace(Proof("c", "d", True), ok=False)]).ok


def test_the_program_exits_with_1_if_it_stops_or_a_proof_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stack:
        """Enough of one."""

        def __init__(self, *args: Any, memory: bool, **others: Any) -> None:
            assert memory
            self.url = "http://127.0.0.1:1"
            self.sandboxes: dict[str, Any] = {}
            self.pages: dict[str, Any] = {}

        def __enter__(self) -> "Stack":
            return self

        def __exit__(self, *exc: object) -> None:
            pass

    def stops(*args: Any) -> Report:
        raise DemoError("no end came")

    monkeypatch.setattr(program, "LocalStack", Stack)
    monkeypatch.setattr(program, "first_key", lambda stack: "key")
    monkeypatch.setattr(program, "seed", lambda *args, again: None)
    for found, code in ((True, 0), (False, 1)):
        monkeypatch.setattr(program, "run_campaign", lambda *args, ok=found: Report([Proof("a", "b", ok)]))
        assert program.main(["campaign"]) == code
    monkeypatch.setattr(program, "run_campaign", stops)
    assert program.main(["campaign"]) == 1
