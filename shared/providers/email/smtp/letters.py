"""A message on its way by SMTP, and what may become of it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.providers.email.smtp.stream import Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """The server's reply settled it: the one to the message, or the refusal on the way there."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Unreached:
    """No session could be opened, so nothing was sent."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection failed while it was under way."""

    error: OSError
    left: bool
    """Whether its last byte had left, so that it may have arrived."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """It left, and the server's replies do not tell which of them belongs to it."""


@dataclass(frozen=True, slots=True)
class Unbegun:
    """There was no time to begin with it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A mistake of ours ended it; whether it left is not known."""

    error: BaseException


Fate = Answered | Unreached | Broken | Doubted | Unbegun | Failed


class Order:
    """Letters that were handed over together, and are waited for together."""

    def __init__(self, letters: int) -> None:
        self._open = letters
        self.done = threading.Event()

    def finish(self) -> None:
        """One of them is done with. (Called by one thread.)"""
        self._open -= 1
        if not self._open:
            self.done.set()


@dataclass(slots=True, eq=False)
class Letter:
    """A message to carry."""

    to: str
    write: Callable[[], bytes]
    """Puts the message together, in wire form, ending in CRLF; called when its turn has come."""
    came: float
    """When it was handed over, on the monotonic clock."""
    begin_by: float
    """On the monotonic clock: later it is not begun."""
    end: float
    """On the monotonic clock: later it is not waited for."""
    order: Order
    wire: bytes = b""
    refusal: Reply | None = None
    """The first refusal before the message itself."""
    spared: bool = False
    """Whether a connection failed under it before, which had served others, so that it was given another one."""
    fate: Fate | None = None


def letters_of(messages: Sequence[tuple[str, Callable[[], bytes]]], begin_by: float, end: float) -> list[Letter]:
    """Letters of one order. messages: addresses (ASCII without blanks or angle brackets) and what writes each."""
    order, now = Order(len(messages)), time.monotonic()
    return [Letter(to, write, now, begin_by, end, order) for to, write in messages]
