"""What a search found, by place."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class Result:
    """Place -> how much was taken out, could not be taken out yet, is for people to change, and was looked through."""

    erased: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    searched: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Forget what was found: it is written down."""
        for counts in (self.erased, self.waiting, self.left, self.searched):
            counts.clear()


class Place(Protocol):
    """A place that is searched piece by piece.

    search: begins at a position (empty: at the beginning), and gives after each piece the position of the next one;
    what it found is in `result` by then. A piece may be searched again. Raises: what AWS raises.
    """

    def search(self, position: str, result: Result) -> Iterator[str]: ...
