"""Connects to a host: its addresses race, so that a dead one does not hide a live one (RFC 8305, "Happy Eyeballs")."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Sequence

from shared.net.network import Network, Spot
from shared.net.tasks import WRITE, Loop, Task, Wait

HEAD_START_S = 0.25
"""How long an address is waited for before the next is tried as well (RFC 8305 section 5)."""
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


def connect(network: Network, host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of a host that answers; the others are closed.

    deadline: on the monotonic clock; the socket comes back with what is left of it as its time-out.
    Raises: ForbiddenAddressError, TimeoutError, socket.gaierror, another OSError of the address that failed last.
    """
    with Loop() as loop:
        sock = loop.run(connecting(network.resolve(host, port), deadline))
    sock.settimeout(max(deadline - time.monotonic(), 0.001))
    return sock


def connecting(spots: Sequence[Spot], deadline: float) -> Task[socket.socket]:
    """The same as a task, with addresses that were judged; the socket that it returns does not block.

    Raises: TimeoutError, another OSError of the address that failed last.
    """
    race = _Race(spots)
    try:
        sock = yield from race.run(deadline)
    finally:
        race.end()
    # A request goes in few writes, each of which the server must see at once.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Race:
    """Attempts at several addresses, of which the first to succeed counts."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self._left = list(spots)
        self._running: list[socket.socket] = []
        self._failure: OSError = TimeoutError("out of time")
        self._next_start = 0.0

    def end(self) -> None:
        """Close what is still under way."""
        for sock in self._running:
            sock.close()

    def run(self, deadline: float) -> Task[socket.socket]:
        """The socket that won. Raises: OSError."""
        while self._left or self._running:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError("out of time")
            if self._left and (now >= self._next_start or not self._running):
                self._start(now)
                continue
            until = min(deadline, self._next_start) if self._left else deadline
            for sock in (yield Wait(tuple((each, WRITE) for each in self._running), until)):
                if self._won(sock):
                    return sock
        raise self._failure

    def _start(self, now: float) -> None:
        spot = self._left.pop(0)
        self._next_start = now + HEAD_START_S
        try:
            sock = socket.socket(spot.family, socket.SOCK_STREAM)
        except OSError as error:  # a family that this machine does not have
            self._failure = error
            return
        sock.setblocking(False)
        code = sock.connect_ex(spot.address)
        if code in _UNDER_WAY:
            self._running.append(sock)
        else:
            self._lose(sock, code)

    def _won(self, sock: socket.socket) -> bool:
        self._running.remove(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code != 0:
            self._lose(sock, code)
        return code == 0

    def _lose(self, sock: socket.socket, code: int) -> None:
        # The kind of OSError follows from the number, such as ConnectionRefusedError.
        self._failure = OSError(code, os.strerror(code))
        with contextlib.suppress(OSError):
            sock.close()
        # Who failed makes way for the next at once.
        self._next_start = 0.0
