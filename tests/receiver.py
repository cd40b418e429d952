"""A receiver of webhooks on loopback, for tests: keeps what it was posted, and answers as the test says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = int | tuple[int, dict[str, str]] | None
"""A status, with headers; None to close the connection without a word."""


@dataclass
class Posted:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came so far. answer: what to say to a request; may be replaced at any time."""

    url: str = ""
    answer: Callable[[Posted], Reply] = lambda posted: 204
    posted: list[Posted] = field(default_factory=list)

    def ids(self) -> list[str]:
        """The `webhook-id` of each request."""
        return [each.headers["webhook-id"] for each in self.posted]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver at a free port."""
    receiver, lock = Receiver(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Else head and body of an answer wait for each other's acknowledgement.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            posted = Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with lock:
                receiver.posted.append(posted)
                reply = receiver.answer(posted)
            if reply is None:
                self.close_connection = True
                return
            status, headers = (reply, {}) if isinstance(reply, int) else reply
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status >= 200 and status != 204:
                self.send_header("content-length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            raise AssertionError("nothing is to be fetched from an endpoint")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hooks"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
