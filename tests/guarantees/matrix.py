"""Covers a run with strikes: at each of its calls, at each position, once."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from tests.conftest import GUARANTEES
from tests.guarantees.fault_points import FaultPoints, Position

MAX_CALLS = 150


class Struck(Protocol):
    """What is struck at."""

    points: FaultPoints

    def reset(self) -> None:
        """Forget what an earlier run did."""


P = TypeVar("P", bound=Struck)
Ends = Counter[str]
Scenario = Callable[[P], Callable[[], Ends]]
"""Prepares a run, in which nothing is struck; what it returns is struck at, and tells how many came to which end."""


def cover(
    one: P, name: str, scenario: Scenario[P], expected: dict[str, int], without: Collection[Position] = ()
) -> None:
    """Go through a run undisturbed, then once for each call and position, and write how many there were.

    expected: the ends of the undisturbed run. without: positions that fit none of its calls.
    Raises: AssertionError that names the strike after which a promise broke.
    """
    # What a process remembers, such as tokens and templates, is fetched in the first run alone.
    _undisturbed(one, scenario, expected)
    calls = _undisturbed(one, scenario, expected)
    struck: Counter[Position] = Counter()
    ends: Ends = Counter()
    visited = () if one.points.visitor is not None else (Position.VISITED,)
    positions = [p for p in Position if p not in (*visited, *without)]
    for position in positions:
        for number in range(MAX_CALLS):
            found = _struck(one, scenario, position, number)
            if found is None:
                break
            struck[position] += 1
            ends += found
        else:
            raise AssertionError(f"{name} has no end")
    everywhere = (Position.BEFORE, Position.AFTER, Position.LOST, Position.REFUSED)
    # What is due at about the same time goes in one batch or in two, as chance has it. A visitor changes more.
    least = calls * 9 // 10 if one.points.visitor is None else calls // 2
    if any(struck[p] < least for p in everywhere) or not all(struck[p] for p in positions):
        raise AssertionError(f"{name}: of {calls} calls only {dict(struck)} were struck")
    written = ", ".join(f"{n} {end}" for end, n in sorted(ends.items()))
    report(f"{name}: {calls} calls, struck at {struck.total()} points; {written}")


def report(line: str) -> None:
    """Write a line of what was covered; a run of tests prints all of them at its end."""
    GUARANTEES.parent.mkdir(parents=True, exist_ok=True)
    with GUARANTEES.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _undisturbed(one: P, scenario: Scenario[P], expected: dict[str, int]) -> int:
    """How many calls a run makes in which nothing is struck."""
    one.reset()
    rest = scenario(one)
    one.points.disarm()
    ends = rest()
    if ends != expected:
        raise AssertionError(f"undisturbed, they ended as {dict(ends)}, not as {expected}")
    return len(one.points.disarm())


def _struck(one: P, scenario: Scenario[P], position: Position, number: int) -> Ends | None:
    """The ends of a run that was struck; None if it has no such call."""
    one.reset()
    rest = scenario(one)
    one.points.arm(number, position)
    try:
        ends = rest()
    except AssertionError as error:
        raise AssertionError(f"{position} call {number} ({one.points.struck}): {error}") from error
    return None if one.points.struck is None else ends
