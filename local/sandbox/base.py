"""What all sandbox providers share: the outbox, faults, and an HTTP server on a free loopback port."""

import contextlib
import json
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

from local.sandbox.faults import Fault, FaultKind, Faults
from local.sandbox.outbox import Delivery, Outbox
from local.visitors import refusal
from shared.model.clock import Clock, SystemClock

__all__ = [
    "HOST",
    "Callback",
    "Delivery",
    "Fault",
    "FaultKind",
    "Faults",
    "HttpSandbox",
    "Outbox",
    "Request",
    "Response",
    "Sandbox",
]

HOST = "127.0.0.1"
_WATCH_S = 0.02
_PIECES = 20


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as a sandbox sees it. Header names are lower-case; `query` holds the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    raw_query: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer. drop: close the connection without answering. slow: take so many seconds over the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    slow: float = 0.0

    @classmethod
    def of(cls, value: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Self:
        """A JSON answer."""
        return cls(status, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": content_type, **headers})


Good = Callable[[int, bytes], bool]
"""Whether an answer, by its status and body, is what the provider wants to hear."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A request that a provider makes. good: what answers it takes; otherwise it calls again.

    tries: how often it calls at the most, `again_s` after one another.
    """

    url: str
    body: bytes
    content_type: str = "application/json"
    good: Good = lambda status, _: status == 200
    tries: int = 1
    again_s: float = 60.0


class Sandbox(ABC):
    """A provider's double on a free loopback port. Use as a context manager, or `start` and `stop`.

    steps: where a fault may play (`Fault.at`). mixture: what a fault of the kind `mixed` draws from.
    clock: measures outages. stopping: set while it stops. reachable: set unless an outage refuses connections.
    """

    provider: str
    steps: ClassVar[tuple[str, ...]] = ()
    mixture: ClassVar[tuple[Fault, ...]] = (Fault("reset_before"), Fault("reset_after"), Fault("status", status=500))

    def __init__(self, outbox: Outbox | None = None, clock: Clock | None = None) -> None:
        self.outbox = outbox if outbox is not None else Outbox()
        self.clock: Clock = clock or SystemClock()
        self.faults = Faults(self.plays_at, self.mixture, self.clock)
        self.faults.watch(self.heed_outages)
        self.publish: Callable[[str, Sequence[tuple[str, Mapping[str, Any], int]]], None] | None = None
        """Tells AWS's own bus of a source's events: type, detail, in how many seconds; None where there is no bus."""
        self.call_back: Callable[[Callback, float], None] | None = None
        """Has a request made in so many seconds, as a provider that calls back does; None where it does not."""
        self.stopping = threading.Event()
        self.reachable = threading.Event()
        self._door = threading.RLock()
        self._holder: socket.socket | None = None
        self._watcher: threading.Thread | None = None

    def plays_at(self, fault: Fault, at: str) -> bool:
        """Whether a fault belongs to a step."""
        return fault.at in (None, at)

    def start(self) -> None:
        """Listen; the port is known afterwards."""
        self.stopping.clear()
        self.open(0)
        self.reachable.set()
        self.heed_outages()

    def stop(self) -> None:
        """Stop listening and join the threads."""
        self.stopping.set()
        with self._door:
            if self._holder is not None:
                self._holder.close()
                self._holder = None
            elif self.is_open:
                self.close()
        if self._watcher is not None:
            self._watcher.join(5)
            self._watcher = None

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it listens."""

    @abstractmethod
    def open(self, port: int) -> None:
        """Listen on a port (0: on any free one) that may be held at the same time by a socket that does not listen."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening, cut all connections, and join the threads."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The port listened on."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def heed_outages(self) -> None:
        """Close or open the door as the outages want it, and see to it that somebody opens it again."""
        with self._door:
            refusing = self.faults.outage("outage_refused")
            if refusing and self.is_open:
                # A bound socket that does not listen keeps the port from others while connections are refused.
                self._holder = _held(self.port)
                self.reachable.clear()
                self.close()
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
            elif not refusing and self._holder is not None:
                self.open(self._holder.getsockname()[1])
                self._holder.close()
                self._holder = None
                self.reachable.set()

    def _watch(self) -> None:
        while self._holder is not None and not self.stopping.wait(_WATCH_S):
            self.heed_outages()


class HttpSandbox(Sandbox):
    """A sandbox that speaks HTTP/1.1 with kept connections. Subclasses implement `handle`.

    sends: the steps that send messages, at which a fault plays that names no step.
    """

    sends: ClassVar[frozenset[str]] = frozenset({""})
    broken: ClassVar[bytes] = b'{"id": '
    content_type: ClassVar[str] = "application/json"

    def __init__(self, outbox: Outbox | None = None, clock: Clock | None = None) -> None:
        super().__init__(outbox, clock)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Answer one request; called by several threads at once."""

    def throttled(self, fault: Fault) -> Response:
        """The vendor's answer to one who is too fast."""
        return Response(429, b"", {"Content-Type": self.content_type})

    def refused(self, fault: Fault) -> Response:
        """The vendor's answer with the fault's error code."""
        return Response.of({"code": fault.code}, 400, self.content_type)

    def plays_at(self, fault: Fault, at: str) -> bool:
        return at == fault.at if fault.at is not None else at in self.sends

    def play(self, fault: Fault | None, answer: Callable[[], Response]) -> Response:
        """`answer()`, or what a fault makes of it."""
        if fault is None:
            return answer()
        if fault.kind == "delay":
            self.stopping.wait(fault.seconds)
            return answer()
        if fault.kind == "trickle":
            return replace(answer(), slow=fault.seconds)
        if fault.accepted or fault.kind == "reset_after":
            answer()
        match fault.kind:
            case "reset_before" | "reset_after":
                return Response(drop=True)
            case "throttle":
                return _with_wait(self.throttled(fault), fault)
            case "code":
                return self.refused(fault)
            case "bad_json":
                return Response(200, self.broken, {"Content-Type": self.content_type})
        return _with_wait(Response(fault.status, b"<html>error</html>", {"Content-Type": "text/html"}), fault)

    @property
    def port(self) -> int:
        if not self._port:
            raise RuntimeError("start the sandbox first")
        return self._port

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:40001`."""
        return f"http://{HOST}:{self.port}"

    @property
    def is_open(self) -> bool:
        return self._server is not None

    def open(self, port: int) -> None:
        self._server = _Server(self, port)
        self._port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            server.server_close()
            server.cut()
            self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_port = True

    def __init__(self, sandbox: HttpSandbox, port: int) -> None:
        self.sandbox = sandbox
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            self._connections.add(request)
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two, each answer waits for the client's delayed ACK of the header packet.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        if reason := refusal(self.command, self.headers.items()):
            # Nothing more is read: what is left of the request is not the next one.
            self.close_connection = True
            self.send_error(403, explain=reason)
            return
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()},
            {k.lower(): v for k, v in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            parts.query,
        )
        sandbox = self.server.sandbox
        response = Response(drop=True) if sandbox.faults.outage("outage_dropped") else sandbox.handle(request)
        if response.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self._write(response)

    def _write(self, response: Response) -> None:
        pieces = [response.body]
        if response.slow:
            step = max(1, -(-len(response.body) // _PIECES))
            pieces = [response.body[i : i + step] for i in range(0, len(response.body), step)]
        for piece in pieces:
            if response.slow:
                self.wfile.flush()
                self.server.sandbox.stopping.wait(response.slow / len(pieces))
            self.wfile.write(piece)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; the outbox is the log."""


def _with_wait(response: Response, fault: Fault) -> Response:
    """The answer, with how long to wait if the fault says so."""
    if fault.seconds <= 0 or fault.kind == "outage":
        return response
    return replace(response, headers={**response.headers, "Retry-After": str(round(fault.seconds))})


def _held(port: int) -> socket.socket:
    """A socket that has the port without listening on it, beside one that does."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, port))
    return sock
