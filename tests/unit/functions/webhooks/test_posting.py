"""Posting to endpoints of all manners: each is an answer, within bounded time, and nobody looks at what it says."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from functions.webhooks.posting import Failure, Poster, retry_after_ms
from functions.webhooks.retrying import LONGEST_MS, Answer
from shared.net.network import Network
from tests.receiver import receiving

LOOPBACK = Network(loopback=True)
NOW = 1_736_935_200_000


@contextmanager
def saying(*pieces: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """A server that says what a test wants to whoever connects, piece by piece, whatever it is asked."""
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        while True:
            try:
                guest, _ = server.accept()
            except OSError:
                return
            with guest, suppress(OSError):
                guest.recv(65_536)
                for piece in pieces:
                    guest.sendall(piece)
                    if stop.wait(pause_s):
                        break

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        worker = threading.Thread(target=serve, args=(server,), daemon=True)
        worker.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        worker.join(5)


def post(url: str, timeout_s: float = 0.5) -> Answer:
    with closing(Poster(LOOPBACK, timeout_s)) as poster:
        return poster.post(url, {"webhook-id": "msg_1"}, b"{}", NOW)


def test_an_answer_that_drips_in_is_cut_off_as_a_whole() -> None:
    """Each byte comes in time, and the whole never would."""
    began = time.monotonic()
    with saying(*[b"H", *[b"x"] * 200], pause_s=0.1) as url:
        answer = post(url)
    assert answer.attempt.error == Failure.TIMED_OUT
    assert time.monotonic() - began < 3


def test_headers_that_never_end_are_cut_off() -> None:
    with saying(b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 60_000 + b"\r\n"] * 100) as url:
        answer = post(url, 5)
    assert answer.attempt.status is None and answer.attempt.error == Failure.BROKEN_OFF


def test_a_body_that_never_ends_changes_nothing() -> None:
    began = time.monotonic()
    with saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n", *[b"secret" * 10_000] * 50) as url:
        answer = post(url, 5)
    assert (answer.attempt.status, answer.ok) == (200, True)
    assert "secret" not in repr(answer) and time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", Failure.BROKEN_OFF),
        (b"nonsense\r\n\r\n", Failure.BROKEN_OFF),
        (b"HTTP/1.1 2", Failure.BROKEN_OFF),
        (b"\x16\x03\x01\x02\x00", Failure.BROKEN_OFF),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Failure.BROKEN_OFF),
    ],
)
def test_what_is_no_answer(said: bytes, error: Failure) -> None:
    with saying(said) as url:
        assert post(url).attempt.error == error


def test_nobody_there() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/").attempt.error == Failure.NOT_CONNECTED


def test_a_name_that_does_not_exist() -> None:
    assert post("https://nowhere.invalid/").attempt.error == Failure.NOT_CONNECTED


def test_a_connection_is_used_again() -> None:
    with receiving() as receiver, closing(Poster(LOOPBACK)) as poster:
        ports = set()
        receiver.answer = lambda posted: 200
        for _ in range(3):
            assert poster.post(receiver.url, {}, b"{}", NOW).ok
            pool = poster._client._transport._pool  # type: ignore[attr-defined] # httpx shows no pool
            [kept] = pool.connections
            ports.add(id(kept))
        assert len(ports) == 1


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (None, None),
        ("0", 0),
        ("120", 120_000),
        (" 5 ", 5_000),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 40, LONGEST_MS),
        ("Wed, 15 Jan 2025 10:01:00 GMT", 60_000),
        ("Wed, 15 Jan 2025 09:00:00 GMT", 0),
        ("Wed, 15 Jan 9999 09:00:00 GMT", LONGEST_MS),
        ("Wed, 99 Jan 2025 09:00:00 GMT", None),
    ],
)
def test_how_long_an_endpoint_asks_to_be_left_alone(text: str | None, ms: int | None) -> None:
    assert retry_after_ms(text, NOW) == ms
