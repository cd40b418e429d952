"""The socket in front of the gateway, and the pages of the local stack itself under `/_local/`."""

import json
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

from local.gateway import MAX_BODY_BYTES, Answer, Incoming
from local.visitors import is_plain_form, refusal
from shared.api.headers import with_security

HOST = "127.0.0.1"
PORTS_TO_TRY = 50
LAST_PORT = 65_535
LOCAL_PAGES = "/_local/"
MAX_LOCAL_BYTES = 1024**3
"""Of a body for a local page: files of recipients are larger than what API Gateway takes."""
# The server's own; API Gateway names none.
_TOO_LARGE: Answer = (413, [("content-type", "application/json")], b'{"message": "Request Entity Too Large"}')
_NO_PAGE: Answer = (404, [("content-type", "text/plain")], b"There is no such page.\n")
_BAD_REQUEST: Answer = (400, [("content-type", "application/json")], b'{"message": "Bad Request"}')

# The outbox has a style of its own, and shows what anybody may have written.
_PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

LocalPath = Callable[[Incoming], Answer]
"""Answers the requests for one path under `/_local/`, of any method."""


def page(make: Callable[[], tuple[str, bytes]]) -> LocalPath:
    """A path that shows a page. make: returns its content type and its body."""

    def answer(request: Incoming) -> Answer:
        if request.method not in ("GET", "HEAD"):
            return _NO_PAGE
        content_type, body = make()
        return 200, [("content-type", content_type), ("cache-control", "no-store")], body

    return answer


def _refused(status: int, message: str) -> Answer:
    return status, [("content-type", "application/json")], json.dumps({"message": message}).encode()


class PortError(OSError):
    """No port is free near the one asked for."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away whenever they like."""


class Server:
    """Listens on loopback as soon as it is made, so that its address is known; answers once started.

    port: 0 for any; if it is taken, the next free one. paths: what is served under `/_local/`, by the part of the path
    that follows. forms: of these, those that take forms from anywhere, since their signature says who made them.
    Raises: PortError.
    """

    def __init__(self, port: int, paths: Mapping[str, LocalPath], forms: Collection[str] = ()) -> None:
        self._paths = paths
        self._forms = forms
        self._answer: Callable[[Incoming], Answer] | None = None
        self._thread: Thread | None = None
        self._server = self._bind(port)

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:8000`."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def start(self, answer: Callable[[Incoming], Answer]) -> None:
        """Answer requests from now on."""
        self._answer = answer
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="gateway", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def turn_away(self, method: str, target: str, headers: Sequence[tuple[str, str]]) -> Answer | None:
        """What is answered to a page from elsewhere, before anything of its body is read; None for who may ask."""
        if reason := refusal(method, headers):
            return _refused(403, reason)
        if target.startswith(LOCAL_PAGES) and _name(target) not in self._forms and is_plain_form(method, headers):
            return _refused(415, "Send the header Content-Type: application/json.")
        return None

    def respond(self, request: Incoming) -> Answer:
        """Answer a request: a page of the local stack, or what the gateway says."""
        if request.path.startswith(LOCAL_PAGES):
            path = self._paths.get(_name(request.path))
            status, headers, body = _NO_PAGE if path is None else path(request)
            return status, list(with_security({**_PAGE_HEADERS, **dict(headers)}).items()), body
        if self._answer is None:
            raise RuntimeError("start the server first")
        return self._answer(request)

    def _bind(self, port: int) -> _Server:
        handler = type("Handler", (_Handler,), {"server_of": self})
        last = min(port + PORTS_TO_TRY - 1, LAST_PORT)
        for candidate in range(port, last + 1) if port else (0,):
            try:
                return _Server((HOST, candidate), handler)
            except OSError:
                continue
        raise PortError(f"no free port from {port} to {last}")


def _name(target: str) -> str:
    """Which of the local pages a path is about."""
    return target.partition("?")[0].removeprefix(LOCAL_PAGES).partition("/")[0]


class _Handler(BaseHTTPRequestHandler):
    server_of: ClassVar[Server]

    protocol_version = "HTTP/1.1"
    # Without these two, each answer waits for the client's delayed ACK of the header packet.
    wbufsize = -1
    disable_nagle_algorithm = True

    def serve(self) -> None:
        refused = self.server_of.turn_away(self.command, self.path, self.headers.items())
        if refused is not None:
            self._send(refused, close=True)
            return
        try:
            body = self._body()
        except ValueError:
            self._send(_BAD_REQUEST, close=True)
            return
        if body is None:
            self._send(_TOO_LARGE, close=True)
            return
        path, _, query = self.path.partition("?")
        self._send(
            self.server_of.respond(
                Incoming(
                    self.command,
                    path,
                    query,
                    list(self.headers.items()),
                    body,
                    str(self.client_address[0]),
                    self.request_version,
                )
            )
        )

    def _body(self) -> bytes | None:
        """Read the body; None if it is too large. Raises: ValueError if its length cannot be read."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError("a negative length")
        most = MAX_LOCAL_BYTES if self.path.startswith(LOCAL_PAGES) else MAX_BODY_BYTES
        return None if length > most else self.rfile.read(length)

    def _chunks(self) -> bytes | None:
        body = bytearray()
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            if len(body) + size > MAX_BODY_BYTES:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(3)
        while self.rfile.readline(10_000).strip():
            pass  # trailers
        return bytes(body)

    def _send(self, answer: Answer, *, close: bool = False) -> None:
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        empty = status < 200 or status in (204, 304)
        if not empty:
            self.send_header("Content-Length", str(len(body)))
        if close:
            # What is left of the request is not read: nothing more can follow on this connection.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if not empty and self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if close:
            self._linger()

    def _linger(self) -> None:
        """Take some of what is still coming, so that the client reads the answer before it learns of the reset."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1)
        left = MAX_BODY_BYTES
        try:
            while left > 0 and (data := self.rfile.read1(65_536)):
                left -= len(data)
        except OSError:
            pass

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: functions log what they do."""
