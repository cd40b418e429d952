"""Connections of urllib3, which botocore and requests use, to addresses that were judged."""

import functools
import socket
import time
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from shared.net.connecting import connect
from shared.net.network import Network

_LONGEST_S = 60.0
"""For a connection that nobody gave a time-out to."""


def guard_botocore(client: Any, network: Network) -> None:
    """Have a client of boto3 connect to nothing else than the network allows. A proxy of the environment is asked as it
    is: it is the operator's."""
    guard(client._endpoint.http_session._manager, network)


def guard(manager: urllib3.PoolManager, network: Network) -> None:
    """Have a pool manager connect to nothing else than the network allows."""
    manager.pool_classes_by_scheme = {
        scheme: _guarded(pool, network) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


@functools.cache
def _guarded(pool: type[Any], network: Network) -> type[Any]:
    connection = type("Guarded", (_Guarded, pool.ConnectionCls), {"network": network})
    return type("GuardedPool", (pool,), {"ConnectionCls": connection})


class _Guarded:
    """Takes the place of urllib3's own way to open a socket; all above it (TLS, names, time-outs) stays."""

    network: Network
    host: str
    port: int
    timeout: Any
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        # urllib3's own errors, since by them is told whether anything was sent.
        this: Any = self
        seconds = self.timeout if isinstance(self.timeout, int | float) else _LONGEST_S
        try:
            sock = connect(self.network, self.host, self.port, time.monotonic() + seconds)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, this, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(this, "timed out") from error
        except OSError as error:
            raise NewConnectionError(this, "no connection") from error
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        return sock
