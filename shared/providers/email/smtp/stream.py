"""The bytes of an SMTP session: commands written with a count of what has left, replies read line by line."""

import socket
import ssl
from collections import deque
from enum import StrEnum
from typing import NamedTuple

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
    """The end of the message, also of one in one piece."""
    BDAT = "bdat"
    """A message in one piece, with its length said before. Its reply is one to `DOT`."""
    RESET = "reset"


class Reply(NamedTuple):
    """A server's reply to a step."""

    step: Step
    code: int
    """-1 for a line that is no SMTP reply."""
    text: str


def reply_of(step: Step, code: int, text: bytes) -> Reply:
    """A reply with its text as people read it."""
    return Reply(step, code, text.decode("utf-8", "replace").strip())


class Stream:
    """A socket that does not block. Every wait ends at `deadline`, on the monotonic clock, with a TimeoutError."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.left = 0
        """How many bytes of the last `write` have left: of one that failed, too."""
        self._is_encrypted = False
        self.replies: deque[tuple[int, bytes]] = deque()
        """The codes and texts of replies that have come and were not taken; -1 for a line that is no reply."""
        self._lines: list[bytes] = []
        """Of a reply that has not come whole."""
        self._rest = b""
        """A line that has not come whole."""

    @property
    def is_clean(self) -> bool:
        """Whether the server has said nothing that was not read, as far as has come here."""
        return not (self.replies or self._lines or self._rest)

    def encrypt(self, tls: ssl.SSLContext, host: str) -> Task[None]:
        """Shake hands. Raises: ssl.SSLError, other OSError; TimeoutError."""
        if not self.is_clean:
            # Someone on the way put words in the server's mouth before encryption (CVE-2011-0411).
            raise ssl.SSLError("data before the TLS handshake")
        wrapped = tls.wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
        self.sock, self._is_encrypted = wrapped, True
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                yield from self._wait(READ)
            except ssl.SSLWantWriteError:
                yield from self._wait(WRITE)
            else:
                return

    def wrote(self, data: bytes) -> bool:
        """Write what can be written at once; whether that was all of it. Raises: OSError. `left` tells how far."""
        self.left = 0
        if self._is_encrypted or not data:
            return not data
        try:
            self.left = self.sock.send(data)
        except BlockingIOError:
            return False
        return self.left == len(data)

    def write_on(self, data: bytes) -> Task[None]:
        """Write the rest; what the server says meanwhile is kept. Raises: OSError; TimeoutError."""
        most = _TLS_RECORD if self._is_encrypted else len(data)
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

    def listen(self) -> Task[None]:
        """Wait for more of what the server says. Raises: OSError (with ConnectionError if it closed); TimeoutError."""
        ready = yield Wait(((self.sock, READ),), self.deadline)
        # What has come counts, however late somebody looks.
        if not self._receive() and not ready:
            raise TimeoutError("out of time")

    def reply(self, step: Step) -> Task[Reply]:
        """The next reply. Raises: as `listen`."""
        while not self.replies:
            yield from self.listen()
        code, text = self.replies.popleft()
        return reply_of(step, code, text)

    def drain(self) -> None:
        """Take in what has come already, without waiting, from a connection that failed, too."""
        try:
            while self._receive():
                pass
        except OSError:
            return

    def _receive(self) -> bool:
        """Take in what has come; False if there is nothing yet. Raises: ConnectionError at the end, other OSError."""
        try:
            received = self.sock.recv(_RECV_BYTES)
            if self._is_encrypted:
                received += self._decrypted()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not received:
            raise ConnectionError("the server closed the connection")
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            if line[3:4] == b" " and line[:3].isdigit() and not self._lines:
                self.replies.append((int(line[:3]), line[4:]))
            else:
                self._read(line)
        if len(self._rest) > _LONGEST_REPLY_LINE or len(self._lines) > _MOST_REPLY_LINES:
            raise ConnectionError("a reply without end")
        return True

    def _decrypted(self) -> bytes:
        """What was decrypted along with what was read, so that nobody would be told of it."""
        found = b""
        while isinstance(self.sock, ssl.SSLSocket) and (pending := self.sock.pending()):
            found += self.sock.recv(pending)
        return found

    def _read(self, line: bytes) -> None:
        """Take a line of a reply."""
        code, more = line[:3], line[3:4] == b"-"
        if not code.isdigit():
            self._lines.clear()
            self.replies.append((-1, line))
        else:
            self._lines.append(line[4:].strip())
            if not more:
                self.replies.append((int(code), b"\n".join(self._lines)))
                self._lines.clear()

    def _wait(self, events: int) -> Task[None]:
        """Wait for the socket. Raises: TimeoutError."""
        if not (yield Wait(((self.sock, events),), self.deadline)):
            raise TimeoutError("out of time")
