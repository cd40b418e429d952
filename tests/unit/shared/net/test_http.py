"""HTTP over judged addresses: httpx says what goes wrong at each step, and nothing else is connected to."""

import socket
import ssl
import threading
from collections.abc import Iterator

import httpcore
import httpx
import pytest

from shared.net.http import _Stream, client
from shared.net.network import PUBLIC, ForbiddenAddressError, Network
from tests.unit.shared.net.listeners import listening, port_of

HERE = Network(loopback=True)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def served(server: socket.socket, answer: bytes) -> threading.Thread:
    """Answer one connection, and close it."""

    def serve() -> None:
        guest, _ = server.accept()
        with guest:
            guest.recv(65_536)
            guest.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_an_answer_is_read() -> None:
    with listening() as server, client(HERE) as http:
        thread = served(server, ANSWER)
        assert http.get(f"http://127.0.0.1:{port_of(server)}/").text == "ok"
        thread.join()


def test_a_forbidden_address_is_not_connected_to() -> None:
    with listening() as server, client(PUBLIC) as http:
        with pytest.raises(ForbiddenAddressError):
            http.get(f"http://127.0.0.1:{port_of(server)}/")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_nobody_there_is_a_connection_that_failed() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with client(HERE) as http, pytest.raises(httpx.ConnectError):
            http.get(f"http://127.0.0.1:{port_of(free)}/")


def test_who_does_not_answer_in_time_is_a_read_that_took_too_long() -> None:
    with listening() as server, client(HERE, timeout=0.05) as http, pytest.raises(httpx.ReadTimeout):
        http.get(f"http://127.0.0.1:{port_of(server)}/")


def test_a_server_without_tls_is_a_connection_that_failed() -> None:
    with listening() as server, client(HERE) as http:
        thread = served(server, ANSWER)
        with pytest.raises(httpx.ConnectError):
            http.get(f"https://127.0.0.1:{port_of(server)}/")
        thread.join()


def test_a_server_that_never_greets_is_a_connection_that_took_too_long() -> None:
    with listening() as server, client(HERE, timeout=0.05) as http, pytest.raises(httpx.ConnectTimeout):
        http.get(f"https://127.0.0.1:{port_of(server)}/")


def test_who_reads_nothing_is_a_write_that_took_too_long(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(httpcore.WriteTimeout):
        _Stream(pair[0]).write(b"x" * 10_000_000, timeout=0.05)


def test_who_has_gone_is_a_write_and_a_read_that_failed(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(httpcore.WriteError):
        _Stream(pair[0]).write(b"x")
    with pytest.raises(httpcore.ReadError):
        _Stream(pair[0]).read(1)


def test_a_kept_connection_has_something_to_read_once_it_is_over(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = _Stream(pair[0])
    assert not stream.get_extra_info("is_readable")
    pair[1].close()
    assert stream.get_extra_info("is_readable")
    assert stream.get_extra_info("socket") is pair[0] and stream.get_extra_info("ssl_object") is None
    stream.close()
    assert stream.get_extra_info("is_readable")


def test_the_tls_object_is_there_for_a_tls_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    context = ssl.create_default_context()
    with context.wrap_socket(pair[0], server_hostname="a.test", do_handshake_on_connect=False) as sock:
        assert _Stream(sock).get_extra_info("ssl_object") is sock
