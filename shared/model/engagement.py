"""How openings and clicks are numbered, and by which signs machines are known."""

from enum import StrEnum
from typing import Final

_FIRST: Final = 1 << 36
"""Numbers from here on say more than the second, which they alone were before; all below 2**40."""
_PER_SECOND: Final = 512
_MACHINE: Final = 256


class MachineSign(StrEnum):
    """By what an opening or a click is known to be a machine's."""

    SCANNER = "scanner"
    """Its name is that of a mail scanner or of a program."""
    PREFETCH = "prefetch"
    """Its name is one under which a mail program fetches pictures before anybody looks."""
    NO_NAME = "no_name"
    """It gave no name (User-Agent), which every browser does."""
    TOO_SOON = "too_soon"
    """It came sooner than anybody can read."""
    BURST = "burst"
    """More links of the message were followed at that moment than a person follows."""
    PROVIDER = "provider"
    """The provider says so."""


def number_of(second: int, place: int, machine: bool) -> int:
    """The number of an opening or a click among those of its message: one for each second, link and class.

    second: since the message was accepted. place: of the link in the message, from 1; 0 is the picture. So whatever has
    the same number says the same of who did it, however often it is told, and of several links followed within a second
    none is lost.
    """
    return _FIRST + second * _PER_SECOND + machine * _MACHINE + place


def second_of(nth: int) -> int:
    """The second in a number, also in one that says nothing else."""
    return nth if nth < _FIRST else (nth - _FIRST) // _PER_SECOND


def place_of(nth: int) -> int:
    """The link's place in a number; 0 for the picture, and where the number does not say it."""
    return 0 if nth < _FIRST else nth % _MACHINE
