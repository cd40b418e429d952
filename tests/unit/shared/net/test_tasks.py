"""Tasks on one thread: they go on when their sockets are ready or their time is over, and leave nothing behind."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from shared.net.tasks import READ, WRITE, Loop, Ready, Task, Wait


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with contextlib.ExitStack() as stack:
        ends = socket.socketpair()
        for end in ends:
            stack.enter_context(end).setblocking(False)
        yield ends


def soon() -> float:
    return time.monotonic() + 20


def wait(sock: socket.socket, events: int, until: float) -> Task[Ready]:
    return (yield Wait(((sock, events),), until))


def test_a_task_gets_the_sockets_that_are_ready(pair: tuple[socket.socket, socket.socket]) -> None:
    with Loop() as loop:
        assert loop.run(wait(pair[0], WRITE, soon())) == [pair[0]]
        assert list(loop.run(wait(pair[0], READ, time.monotonic()))) == []


def test_what_is_ready_counts_though_its_time_is_over(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].send(b"!")
    with Loop() as loop:
        assert loop.run(wait(pair[0], READ, time.monotonic() - 5)) == [pair[0]]


def test_tasks_go_on_independently(pair: tuple[socket.socket, socket.socket]) -> None:
    seen: list[str] = []

    def waits() -> Task[None]:
        seen.append("asked" if (yield Wait(((pair[0], READ),), soon())) else "late")

    def answers() -> Task[None]:
        yield Wait(((pair[1], WRITE),), soon())
        seen.append("answering")
        pair[1].send(b"!")

    with Loop() as loop:
        loop.start(waits())
        loop.start(answers())
        while loop:
            loop.step()
    assert seen == ["answering", "asked"]


def test_a_socket_may_be_closed_and_its_number_used_again() -> None:
    """The number of a closed socket goes to the next one that is opened, in the same breath."""

    def changes() -> Task[int]:
        first = socket.socketpair()
        first[0].setblocking(False)
        yield Wait(((first[0], WRITE),), soon())
        number = first[0].fileno()
        for end in first:
            end.close()
        second = socket.socketpair()
        assert number in {end.fileno() for end in second}
        ready = yield Wait(tuple((end, WRITE) for end in second), soon())
        for end in second:
            end.close()
        return len(ready)

    with Loop() as loop:
        assert loop.run(changes()) >= 1


def test_an_error_ends_its_task_and_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    def fails() -> Task[None]:
        yield Wait(((pair[0], WRITE),), soon())
        raise ValueError("no")

    with Loop() as loop:
        with pytest.raises(ValueError, match="no"):
            loop.run(fails())
        assert not loop
        assert loop.run(wait(pair[0], WRITE, soon()))


def test_closing_ends_what_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    ended: list[str] = []

    def waits() -> Task[None]:
        try:
            yield Wait(((pair[0], READ),), soon())
        finally:
            ended.append("ended")

    loop = Loop()
    loop.start(waits())
    loop.close()
    assert ended == ["ended"]


def test_another_thread_wakes_it(pair: tuple[socket.socket, socket.socket]) -> None:
    with Loop(wakes=True) as loop:
        loop.start(wait(pair[0], READ, soon()))

        # As often as it likes: an alarm that rings already rings.
        def wake() -> None:
            for _ in range(100_000):
                loop.wake()

        waking = threading.Thread(target=wake)
        waking.start()
        loop.step()
        waking.join(20)
        assert loop
