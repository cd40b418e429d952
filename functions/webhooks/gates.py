"""Which endpoints are left alone for a while: one that hangs or gets too much must not hold up the others.

A process finds it out for itself and shares it with nobody, which costs nothing: each tries once and then leaves the
endpoint alone for a while. After that one delivery is let through, and what becomes of it decides.
"""

import threading

from msgspec import Struct

from functions.webhooks.retrying import SLOW_DOWN, Answer

FAILURES = 3
"""In a row without any answer, or with one that says that it gets too much, after which an endpoint is left alone; at
once if it says for how long. Of one that now and then says so, all that waits would come back again and again."""
FIRST_MS, LONGEST_MS = 15_000, 300_000
SPREAD = 3
"""What waits comes back within so many times the time that the endpoint is left alone for: of a large backlog little
comes in vain, as each time costs as much as a try."""
MAX_GATES = 1_000


class _Gate(Struct):
    failures: int = 0
    shut_until: int = 0
    """Open if that is over; then one is let through."""
    shut_for: int = 0
    trying: bool = False
    """One was let through, and is not back."""


class Gates:
    """The gates of a process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, _Gate] = {}

    def enter(self, endpoint: str, now: int, chance: float) -> int | None:
        """None if a delivery may go; else when it should come again. Who may go comes back by `leave`.

        chance: from 0 to 1, spreads those that wait.
        """
        with self._lock:
            gate = self._gates.get(endpoint)
            if gate is None or not gate.shut_for:
                return None
            if now >= gate.shut_until and not gate.trying:
                gate.trying = True
                return None
            return max(now, gate.shut_until) + int(SPREAD * gate.shut_for * chance)

    def leave(self, endpoint: str, answer: Answer, now: int) -> None:
        """What came of a delivery that went."""
        with self._lock:
            gate = self._gates.pop(endpoint, None) or _Gate()
            gate.trying = False
            slow = answer.attempt.status in SLOW_DOWN
            if not slow and answer.attempt.status is not None:
                return  # it answers: whatever it says, it holds up nobody
            gate.failures += 1
            if gate.failures >= FAILURES or gate.shut_for or (slow and answer.retry_after_ms):
                gate.shut_for = min(2 * gate.shut_for or FIRST_MS, LONGEST_MS)
                gate.shut_until = now + max(gate.shut_for, min(answer.retry_after_ms or 0, LONGEST_MS))
            while len(self._gates) >= MAX_GATES:
                del self._gates[next(iter(self._gates))]
            self._gates[endpoint] = gate
