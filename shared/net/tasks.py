"""Tasks that wait for sockets, all on one thread: generators that yield a `Wait` and go on when it is over."""

import contextlib
import selectors
import socket
import time
from collections.abc import Generator, Sequence
from math import inf
from types import TracebackType
from typing import NamedTuple, TypeVar

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
T = TypeVar("T")

Ready = Sequence[socket.socket]
"""The sockets of a wait that may go on; none when its time is over."""


class Wait(NamedTuple):
    """What a task waits for: any of these sockets, or a time."""

    watch: tuple[tuple[socket.socket, int], ...]
    """Sockets, each with READ, WRITE or both."""
    until: float
    """On the monotonic clock."""


Task = Generator[Wait, Ready, T]
"""Waits by yielding, and returns a result. It closes its own sockets, and never blocks but for name servers."""


class Loop:
    """Resumes tasks as their sockets get ready. Of one thread; only `wake` may be called by others, before `close`.

    wakes: whether `wake` is ever called.
    """

    def __init__(self, wakes: bool = False) -> None:
        self._selector = selectors.DefaultSelector()
        self._waits: dict[Task[object], Wait] = {}
        self._alarm = socket.socketpair() if wakes else None
        if self._alarm is not None:
            for end in self._alarm:
                end.setblocking(False)
            self._selector.register(self._alarm[0], READ)

    def __enter__(self) -> "Loop":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __bool__(self) -> bool:
        """Whether a task waits."""
        return bool(self._waits)

    def close(self) -> None:
        """End the tasks that still wait, and give back what the loop holds."""
        for task in list(self._waits):
            task.close()
        self._waits.clear()
        self._selector.close()
        for end in self._alarm or ():
            end.close()

    def start(self, task: Task[object]) -> None:
        """Run a task up to its first wait. Raises: what it raises."""
        self._resume(task, None)

    def run(self, task: Task[T]) -> T:
        """Run one task to its end and return its result. Raises: what it raises."""
        results: list[T] = []

        def kept() -> Task[None]:
            results.append((yield from task))

        self.start(kept())
        while self:
            self.step()
        return results[0]

    def wake(self) -> None:
        """End the wait of `step`, from any thread."""
        if self._alarm is not None:
            # When it is full it rings already.
            with contextlib.suppress(BlockingIOError):
                self._alarm[1].send(b"!")

    def step(self, until: float = inf) -> None:
        """Wait until a task may go on, and resume all that may. Raises: what one of them raises.

        until: on the monotonic clock; it waits no longer.
        """
        found: dict[Task[object], list[socket.socket]] = {}
        for key, _ in self._selector.select(self._patience(until)):
            if key.data is None:
                self._hear()
            else:
                found.setdefault(key.data, []).append(key.fileobj)  # type: ignore[arg-type]  # sockets alone come in
        now = time.monotonic()
        for task, wait in list(self._waits.items()):
            if task in found:
                self._resume(task, found[task])
            elif wait.until <= now:
                self._resume(task, ())

    def _patience(self, until: float) -> float | None:
        first = min([until, *(wait.until for wait in self._waits.values())])
        return None if first == inf else max(first - time.monotonic(), 0)

    def _hear(self) -> None:
        if self._alarm is not None:
            with contextlib.suppress(BlockingIOError):
                self._alarm[0].recv(4096)

    def _resume(self, task: Task[object], ready: Ready | None) -> None:
        before = self._waits.get(task)
        try:
            after = next(task) if ready is None else task.send(ready)
        except BaseException as error:  # of any kind: its sockets are watched no longer
            self._waits.pop(task, None)
            self._watch(task, before, None)
            if isinstance(error, StopIteration):
                return
            raise
        self._waits[task] = after
        self._watch(task, before, after)

    def _watch(self, task: Task[object], before: Wait | None, after: Wait | None) -> None:
        """Watch what a task waits for now; mostly that is what it waited for before."""
        old, new = before.watch if before else (), after.watch if after else ()
        if old == new:
            return
        for sock, _ in old:
            # A socket that is closed by now is found by what it is.
            self._selector.unregister(sock)
        for sock, events in new:
            self._selector.register(sock, events, task)
