"""What a mutation is: a guard, how it is removed, and the test that notices."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """A guard, and how to remove it. old: occurs once in the file. test: fails without the guard."""

    guard: str
    file: str
    old: str
    new: str
    test: str
