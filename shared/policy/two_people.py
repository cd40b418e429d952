"""What takes two people: one asks for it, and another one asks for the same within a day.

A key and all that descend from it are one person (`ApiKey.person`).
"""

from collections.abc import Callable
from enum import Enum, auto

ASKED_MS = 86_400_000
"""For so long somebody's wish waits for another person."""


class Second(Enum):
    """What a wish comes to: it is the first one, the same person's again, or another person's, which does it."""

    FIRST = auto()
    SAME = auto()
    DONE = auto()


def second(asked_by: str | None, asked_at: int | None, by: str, now: int, person: Callable[[str], str]) -> Second:
    """What a wish of the key `by` comes to. asked_by, asked_at: of the one that waits for the same, if there is one;
    milliseconds since the epoch. person: whose a key is."""
    if not asked_by or asked_at is None or now - asked_at >= ASKED_MS:
        return Second.FIRST
    return Second.SAME if person(asked_by) == person(by) else Second.DONE
