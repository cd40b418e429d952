"""An endpoint that hangs is left alone for a while, and the others notice nothing."""

from functions.webhooks.gates import FAILURES, FIRST_MS, LONGEST_MS, SPREAD, Gates
from functions.webhooks.retrying import Answer
from shared.model.webhooks import Attempt

HANGS = Answer(Attempt(at=0, ms=15_000, error="timed_out"))
WORKS = Answer(Attempt(at=0, ms=10, status=200))
WRONG = Answer(Attempt(at=0, ms=10, status=500))
SLOW = Answer(Attempt(at=0, ms=10, status=429))


def shut(gates: Gates, now: int = 0) -> None:
    for _ in range(FAILURES):
        assert gates.enter("a", now, 0.0) is None
        gates.leave("a", HANGS, now)


def test_a_few_without_an_answer_shut_it_for_a_while() -> None:
    gates = Gates()
    shut(gates)
    assert gates.enter("a", 1, 0.0) == FIRST_MS
    assert gates.enter("a", 1, 1.0) == FIRST_MS + SPREAD * FIRST_MS
    assert gates.enter("b", 1, 0.0) is None


def test_then_one_is_let_through_which_decides() -> None:
    gates = Gates()
    shut(gates)
    assert gates.enter("a", FIRST_MS, 0.0) is None
    # The others wait for it.
    assert gates.enter("a", FIRST_MS, 0.0) == FIRST_MS
    assert (gates.enter("a", FIRST_MS, 1.0) or 0) > FIRST_MS
    gates.leave("a", WORKS, FIRST_MS + 5)
    assert gates.enter("a", FIRST_MS + 6, 0.0) is None
    assert gates.enter("a", FIRST_MS + 6, 0.0) is None


def test_it_is_left_alone_longer_each_time_up_to_five_minutes() -> None:
    gates, now, waits = Gates(), 0, []
    shut(gates)
    for _ in range(8):
        now = gates.enter("a", now, 0.0) or now
        assert gates.enter("a", now, 0.0) is None
        gates.leave("a", HANGS, now)
        waits.append((gates.enter("a", now, 0.0) or 0) - now)
    assert waits == [30_000, 60_000, 120_000, 240_000, *[LONGEST_MS] * 4]


def test_who_answers_is_not_left_alone_whatever_it_says() -> None:
    gates = Gates()
    for _ in range(10):
        assert gates.enter("a", 0, 0.0) is None
        gates.leave("a", WRONG, 0)


def test_too_much_in_a_row_shuts_it_and_once_in_a_while_does_not() -> None:
    gates = Gates()
    for _ in range(10):
        gates.leave("a", SLOW, 0)
        gates.leave("a", WORKS, 0)
        assert gates.enter("a", 0, 0.0) is None
    for _ in range(FAILURES):
        gates.leave("a", SLOW, 0)
    assert gates.enter("a", 0, 0.0) == FIRST_MS


def test_who_says_for_how_long_is_left_alone_at_once() -> None:
    gates = Gates()
    gates.leave("a", Answer(Attempt(at=0, ms=1, status=429), 60_000), 0)
    assert gates.enter("a", 0, 0.0) == 60_000
    gates.leave("b", Answer(Attempt(at=0, ms=1, status=503), 10**9), 0)
    assert gates.enter("b", 0, 0.0) == LONGEST_MS
