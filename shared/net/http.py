"""httpx over connections to addresses that were judged."""

import functools
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from shared.net.connecting import connect
from shared.net.network import ForbiddenAddressError, Network

_LONGEST_S = 60.0
"""For a connection that nobody gave a time-out to."""


class Deadline(threading.local):
    """When what a thread asks for must have come, whatever moves meanwhile: a time-out is for each step alone, and an
    answer that drips in takes many."""

    at: float | None = None
    """By `time.monotonic`."""

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Have what this thread asks for within the block be there in time, or raise a time-out."""
        self.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self.at = None

    def left(self, timeout: float | None) -> float | None:
        """How long a step may take. Raises: TimeoutError if there is no time left."""
        if self.at is None:
            return timeout
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return left if timeout is None else min(timeout, left)


def client(network: Network, deadline: Deadline | None = None, **options: Any) -> httpx.Client:
    """A client that connects to nothing else than the network allows. options: of httpx.Client.

    It follows no redirects, which lead elsewhere, and no proxies of the environment, which would be a way out for
    secrets that nobody configured here.
    """
    limits = options.pop("limits", httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=20.0))
    return httpx.Client(
        transport=_transport(network, _tls(), limits, deadline or Deadline()),
        trust_env=False,
        follow_redirects=False,
        **options,
    )


@functools.cache
def _tls() -> ssl.SSLContext:
    """Read the certificate authorities once for all accounts: that takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)


def _transport(network: Network, tls: ssl.SSLContext, limits: httpx.Limits, deadline: Deadline) -> httpx.HTTPTransport:
    made = httpx.HTTPTransport(verify=tls, trust_env=False, limits=limits)
    made._pool = httpcore.ConnectionPool(
        ssl_context=tls,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=_Backend(network, deadline),
    )
    return made


class _Backend(httpcore.NetworkBackend):
    """Opens sockets for httpcore."""

    def __init__(self, network: Network, deadline: Deadline) -> None:
        self._network = network
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            left = self._deadline.left(_LONGEST_S if timeout is None else timeout)
            until = time.monotonic() + (_LONGEST_S if left is None else left)
            return _Stream(connect(self._network, host, port, until), self._deadline)
        except ForbiddenAddressError:
            raise
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error


class _Stream(httpcore.NetworkStream):
    """A socket as httpcore uses it."""

    def __init__(self, sock: socket.socket, deadline: Deadline | None = None) -> None:
        self._sock = sock
        self._deadline = deadline or Deadline()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._sock.settimeout(self._deadline.left(timeout))
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                # The time-out is for each step: a large file may take longer as long as it moves.
                self._sock.settimeout(self._deadline.left(timeout))
                buffer = buffer[self._sock.send(buffer) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._sock.settimeout(self._deadline.left(timeout))
            return _Stream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname), self._deadline)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks: whether a kept connection has something to read, and the TLS object for HTTP/2."""
        if info == "is_readable":
            return _readable(self._sock)
        if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket):
            return self._sock
        return self._sock if info == "socket" else None


def _readable(sock: socket.socket) -> bool:
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
