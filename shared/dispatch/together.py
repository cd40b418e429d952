"""Works a batch's envelopes off together, to save requests, without letting a slow one hold the others up."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from threading import Lock
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")

PATIENCE_S = 0.5
"""How long those that are decided wait for the others, from the first one on."""


class Together(Generic[A, B, R]):
    """Decides arguments side by side, and goes on with those that are decided together.

    Who is later than `PATIENCE_S` goes on alone, in the thread that decided. decide: None for what is left out. go_on:
    takes what was decided, by id, and returns the results by id.
    """

    def __init__(
        self, pool: Executor, decide: Callable[[A], B | None], go_on: Callable[[Mapping[str, B]], dict[str, R]]
    ) -> None:
        self._pool = pool
        self._decide = decide
        self._go_on = go_on
        self._lock = Lock()
        self._together: dict[str, B] = {}
        self._gone = False

    def run(self, arguments: Mapping[str, A]) -> dict[str, R]:
        """The results by id. Raises: what going on raises."""
        deciding = [self._pool.submit(self._one, id, argument) for id, argument in arguments.items()]
        wait(deciding, return_when=FIRST_COMPLETED)
        wait(deciding, PATIENCE_S)
        with self._lock:
            self._gone = True
        # In the order in which they came, not in that in which they were ready.
        ready = {id: self._together[id] for id in arguments if id in self._together}
        try:
            results = self._go_on(ready)
        finally:
            # Nobody may still be at work when the batch is handed back.
            wait(deciding)
        return _merged(results, deciding)

    def _one(self, id: str, argument: A) -> dict[str, R]:
        decided = self._decide(argument)
        if decided is None:
            return {}
        with self._lock:
            if not self._gone:
                self._together[id] = decided
                return {}
        return self._go_on({id: decided})


def _merged(results: dict[str, R], late: list[Future[dict[str, R]]]) -> dict[str, R]:
    for future in late:
        results |= future.result()
    return results
