"""What all sandbox providers share: the outbox, scripted faults, and an HTTP server on a free loopback port."""

import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

FaultKind = Literal["delay", "reset_before", "reset_after", "status", "throttle", "bad_json", "code", "outage"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that a sandbox plays.

    kind: `delay` waits `seconds`, then goes on; `reset_before` drops the connection without accepting; `reset_after`
    accepts, then drops the connection without an answer; `status` answers HTTP (or SMTP) `status`; `throttle` answers
    as the vendor does when it is too fast; `bad_json` answers 200 with broken JSON; `code` answers 200 (or, by SMTP,
    `status` and `code` as text) with the vendor's error `code`; `outage` refuses everything for `seconds` from now.
    to: only for this recipient (per-recipient outcome where the protocol has one). times: how often; -1 for always.
    """

    kind: FaultKind
    code: str = ""
    status: int = 500
    seconds: float = 0.0
    to: str | None = None
    times: int = 1


class Faults:
    """A thread-safe list of faults to play, in the order they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, int]] = []
        self._outage_until = 0.0

    def add(self, fault: Fault) -> None:
        """Play `fault` from now on, `fault.times` times."""
        with self._lock:
            if fault.kind == "outage":
                self._outage_until = time.monotonic() + fault.seconds
            else:
                self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Play none any more."""
        with self._lock:
            self._faults.clear()
            self._outage_until = 0.0

    def take(self, to: str | None = None) -> Fault | None:
        """Use up and return the next fault for a request (`to` None: those bound to no recipient) or a recipient."""
        with self._lock:
            if to is None and time.monotonic() < self._outage_until:
                return Fault("outage", status=503)
            for i, (fault, left) in enumerate(self._faults):
                if fault.to == to:
                    if left == 1:
                        del self._faults[i]
                    else:
                        self._faults[i] = (fault, left - 1)
                    return fault
            return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one recipient that a sandbox provider accepted.

    id: the provider's message id. data: what a person would see, for example subject and text.
    """

    provider: str
    to: str
    id: str
    data: dict[str, Any] = field(default_factory=dict)
    at: float = field(default_factory=time.time)


class Outbox:
    """What the sandbox providers accepted, newest last; thread-safe. Keeps the last `keep` in full and counts all."""

    def __init__(self, keep: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._deliveries: deque[Delivery] = deque(maxlen=keep)
        self._counts: dict[tuple[str, str], int] = {}

    def put(self, delivery: Delivery) -> None:
        """Add one."""
        with self._lock:
            self._deliveries.append(delivery)
            key = (delivery.provider, delivery.to)
            self._counts[key] = self._counts.get(key, 0) + 1

    def all(self, provider: str | None = None, to: str | None = None) -> list[Delivery]:
        """The deliveries kept, oldest first, of one provider or recipient where given."""
        with self._lock:
            return [
                d
                for d in self._deliveries
                if (provider is None or d.provider == provider) and (to is None or d.to == to)
            ]

    def count(self, provider: str | None = None) -> int:
        """How many were ever accepted."""
        with self._lock:
            return sum(n for (p, _), n in self._counts.items() if provider is None or p == provider)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._deliveries.clear()
            self._counts.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """The deliveries kept, as plain data."""
        return [asdict(d) for d in self.all()]


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
    """An HTTP answer. drop: close the connection without answering."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False

    @classmethod
    def of(cls, value: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Self:
        """A JSON answer."""
        return cls(status, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": content_type, **headers})


class Sandbox(ABC):
    """A provider's double on a free loopback port. Use as a context manager, or `start` and `stop`."""

    provider: str

    def __init__(self, outbox: Outbox | None = None) -> None:
        self.outbox = outbox if outbox is not None else Outbox()
        self.faults = Faults()

    @abstractmethod
    def start(self) -> None:
        """Listen; the port is known afterwards."""

    @abstractmethod
    def stop(self) -> None:
        """Stop listening and join the threads."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The port listened on."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class HttpSandbox(Sandbox):
    """A sandbox that speaks HTTP/1.1 with kept connections. Subclasses implement `handle`."""

    def __init__(self, outbox: Outbox | None = None) -> None:
        super().__init__(outbox)
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """Answer one request; called by several threads at once."""

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("start the sandbox first")
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:40001`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        sandbox = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without these two, each answer waits for the client's delayed ACK of the header packet.
            wbufsize = -1
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                request = Request(
                    self.command,
                    parts.path,
                    {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()},
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                    parts.query,
                )
                response = sandbox.handle(request)
                if response.drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing; the outbox is the log."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that go away are part of the game."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
            self._server = None
