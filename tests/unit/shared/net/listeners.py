"""Servers on loopback that answer, and places that stay silent or refuse."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def listening(address: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    """A server that takes connections."""
    with socket.socket() as server:
        server.bind((address, port))
        server.listen()
        yield server


@contextlib.contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """A place where a connection hangs as behind a firewall: a server whose waiting room is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            guest = stack.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex((address, port))
        yield


def port_of(server: socket.socket) -> int:
    """The port that a server listens on."""
    port: int = server.getsockname()[1]
    return port
