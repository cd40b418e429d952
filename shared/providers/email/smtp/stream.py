"""The bytes of an SMTP session: commands written with a count of what has left, replies read line by line."""

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

from shared.net.tasks import READ, WRITE, Task, Wait

_LONGEST_REPLY_LINE = 8192
_MOST_REPLY_LINES = 100
_RECV_BYTES = 65_536
_TLS_RECORD = 16_384
"""Of a TLS record that has not left whole nobody can read anything, so data goes record by record."""


class Step(StrEnum):
    """The part of an SMTP session that a reply answers."""

    GREETING = "greeting"
    TLS = "tls"
    LOGIN = "login"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    """The end of the message, also of one that goes by BDAT."""
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply to a step."""

    step: Step
    code: int
    """-1 for a line that is no SMTP reply."""
    text: str


class ClosedError(ConnectionError):
    """The server closed the connection, or says more than any server does."""


class Stream:
    """A socket that does not block. Every wait ends at `deadline`, on the monotonic clock, with a TimeoutError."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.left = 0
        """How many bytes of the last `write` have left: of one that failed, too."""
        self._buffer = b""
        self._lines: list[bytes] = []

    @property
    def is_clean(self) -> bool:
        """Whether the server has said nothing that was not read, as far as has come here."""
        return not self._buffer and not self._lines

    def encrypt(self, tls: ssl.SSLContext, host: str) -> Task[None]:
        """Shake hands. Raises: ssl.SSLError, other OSError; TimeoutError."""
        if not self.is_clean:
            # Someone on the way put words in the server's mouth before encryption (CVE-2011-0411).
            raise ssl.SSLError("data before the TLS handshake")
        wrapped = tls.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
        self.sock = wrapped
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                yield from self._wait(READ)
            except ssl.SSLWantWriteError:
                yield from self._wait(WRITE)
            else:
                return

    def write(self, data: bytes) -> Task[None]:
        """Write all; what the server says meanwhile is kept. Raises: OSError; TimeoutError. `left` tells how far."""
        self.left, most = 0, _TLS_RECORD if isinstance(self.sock, ssl.SSLSocket) else len(data)
        rest = memoryview(data)
        while self.left < len(data):
            try:
                self.left += self.sock.send(rest[self.left : self.left + most])
            except (BlockingIOError, ssl.SSLWantWriteError):
                # A server that waits for its replies to be read reads no more itself.
                yield from self._wait(READ | WRITE)
                self._receive()
            except ssl.SSLWantReadError:
                yield from self._wait(READ)

    def reply(self, step: Step) -> Task[Reply]:
        """The next reply. Raises: OSError (with ClosedError among them); TimeoutError."""
        while (found := self.heard(step)) is None:
            if len(self._buffer) > _LONGEST_REPLY_LINE or len(self._lines) >= _MOST_REPLY_LINES:
                raise ClosedError("a reply without end")
            ready = yield Wait(((self.sock, READ),), self.deadline)
            # What has come counts, however late somebody looks.
            if not self._receive() and not ready:
                raise TimeoutError("out of time")
        return found

    def heard(self, step: Step) -> Reply | None:
        """The next reply, if it has come whole."""
        buffer, at = self._buffer, 0
        try:
            while (end := buffer.find(b"\n", at)) >= 0 and len(self._lines) < _MOST_REPLY_LINES:
                line = buffer[at:end]
                at = end + 1
                code = line[:3]
                if not code.isdigit():
                    self._lines.clear()
                    return Reply(step, -1, line.strip().decode("utf-8", "replace"))
                self._lines.append(line[4:].strip())
                if line[3:4] != b"-":
                    text = b"\n".join(self._lines).decode("utf-8", "replace")
                    self._lines.clear()
                    return Reply(step, int(code), text)
        finally:
            self._buffer = buffer[at:]
        return None

    def drain(self) -> None:
        """Take in what has come already, without waiting, from a connection that failed, too."""
        try:
            while self._receive():
                pass
        except OSError:
            return

    def _receive(self) -> bool:
        """Take in what has come; False if there is nothing yet. Raises: ClosedError at the end, other OSError."""
        try:
            received = self.sock.recv(_RECV_BYTES)
            while isinstance(self.sock, ssl.SSLSocket) and (pending := self.sock.pending()):
                # Decrypted already, so that nobody would be told of it.
                received += self.sock.recv(pending)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not received:
            raise ClosedError("the server closed the connection")
        self._buffer += received
        return True

    def _wait(self, events: int) -> Task[None]:
        """Wait for the socket. Raises: TimeoutError."""
        if not (yield Wait(((self.sock, events),), self.deadline)):
            raise TimeoutError("out of time")
