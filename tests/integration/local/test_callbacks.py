"""Callbacks of sandbox providers: made when they are due by the stack's clock, and again until they are taken."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from local.callbacks import LocalCallbacks
from local.clock import LocalClock
from local.sandbox.base import Callback, HttpSandbox, Request, Response


class Receiver(HttpSandbox):
    """Takes what it is called with, and answers with the statuses that it is given, then with 200."""

    provider = "receiver"

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, bytes, str]] = []
        self.statuses: list[int] = []

    def handle(self, request: Request) -> Response:
        self.taken.append((request.path, request.body, request.headers["content-type"]))
        return Response(self.statuses.pop(0) if self.statuses else 200, b"ok")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def local_clock() -> LocalClock:
    return LocalClock()


@pytest.fixture
def callbacks(local_clock: LocalClock) -> Iterator[LocalCallbacks]:
    with closing(_Stopping(local_clock)) as found:
        yield found


class _Stopping(LocalCallbacks):
    def close(self) -> None:
        self.stop()


def bodies(receiver: Receiver) -> list[bytes]:
    return [body for _, body, _ in receiver.taken]


def test_each_is_made_when_it_is_due_and_in_order(
    callbacks: LocalCallbacks, receiver: Receiver, local_clock: LocalClock
) -> None:
    assert callbacks.due_ms() is None
    callbacks.call(Callback(f"{receiver.url}/a", b"late"), 60)
    callbacks.call(Callback(f"{receiver.url}/b", b"first", "text/xml"))
    callbacks.call(Callback(f"{receiver.url}/b", b"second"))
    assert [callbacks.step() for _ in range(3)] == [True, True, False]
    assert receiver.taken == [("/b", b"first", "text/xml"), ("/b", b"second", "application/json")]
    due = callbacks.due_ms()
    assert due is not None and 59_000 < due - local_clock.now_ms() <= 60_000
    local_clock.advance(60)
    assert callbacks.step()
    assert (bodies(receiver)[-1], callbacks.due_ms()) == (b"late", None)


def test_what_is_not_taken_is_called_again_as_often_as_the_provider_does(
    callbacks: LocalCallbacks, receiver: Receiver, local_clock: LocalClock
) -> None:
    receiver.statuses = [503, 404, 500, 500]
    callbacks.call(Callback(f"{receiver.url}/secret", b"x", tries=3, again_s=30))
    assert [callbacks.step(), callbacks.step()] == [True, False]
    for _ in range(3):
        local_clock.advance(30)
        callbacks.step()
    assert bodies(receiver) == [b"x"] * 3
    # Without the last part of the URL, which opens it.
    assert callbacks.answers == [(receiver.url, 503), (receiver.url, 404), (receiver.url, 500)]


def test_what_is_taken_is_for_the_provider_to_say(callbacks: LocalCallbacks, receiver: Receiver) -> None:
    callbacks.call(Callback(receiver.url, b"x", good=lambda status, body: body == b"other", tries=2, again_s=0))
    callbacks.call(Callback(receiver.url, b"y", good=lambda status, body: body == b"ok", tries=2, again_s=0))
    while callbacks.step():
        pass
    assert bodies(receiver) == [b"x", b"y", b"x"]


def test_nobody_there_is_no_answer(callbacks: LocalCallbacks, receiver: Receiver) -> None:
    receiver.stop()
    callbacks.call(Callback(f"{receiver.url}/x", b""))
    assert callbacks.step()
    assert callbacks.answers == [(receiver.url, 0)]


def test_with_a_thread_it_works_by_itself(receiver: Receiver, local_clock: LocalClock) -> None:
    callbacks = LocalCallbacks(local_clock)
    callbacks.start()
    try:
        callbacks.call(Callback(receiver.url, b"now"))
        callbacks.call(Callback(receiver.url, b"later"), 3600)
        local_clock.on_advance(callbacks.wake)
        local_clock.advance(3600)
        while callbacks.due_ms() is not None or callbacks.busy:
            callbacks.wake()
    finally:
        callbacks.stop()
    assert bodies(receiver) == [b"now", b"later"]
