"""SMTP connections: one deadline over all steps, pipelined envelopes, and a pool that keeps them across calls."""

import contextlib
import select
import smtplib
import socket
import ssl
import threading
import time
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from shared.model.clock import Clock
from shared.net.connecting import connect
from shared.net.network import Network

_LONGEST_REPLY_LINE = 8192
_MOST_REPLY_LINES = 100
_RECV_BYTES = 8192
_ENDED = (-1, 421)
"""After these replies the server is about to close, or out of step with us."""

Security = Literal["starttls", "tls", "none"]


class Step(StrEnum):
    """The part of an SMTP session that a reply answers."""

    GREETING = "greeting"
    TLS = "tls"
    LOGIN = "login"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply to a step."""

    step: Step
    code: int
    """-1 for a line that is no SMTP reply."""
    text: str


class RefusedError(Exception):
    """The server refused to begin a session. `reply` has its words, which are not part of the message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.step} refused with {reply.code}")
        self.reply = reply


class MisfitError(Exception):
    """The settings do not fit the server; `what`: starttls_not_offered, auth_not_offered or password_missing."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Connection(smtplib.SMTP):
    """One SMTP session. Not thread-safe.

    deadline: on the monotonic clock; every wait of a step ends there with a TimeoutError. opened_ms: wall-clock time.
    sent: messages tried on this connection. handed_over: whether the message of the current `transact` left whole, so
    that without an answer its fate is unknown.
    """

    def __init__(self, helo: str, deadline: float, opened_ms: int) -> None:
        super().__init__(local_hostname=helo)
        self.sock: socket.socket | None = None
        self.deadline = deadline
        self.opened_ms = opened_ms
        self.sent = 0
        self.handed_over = False
        self._pipelining = False
        self._buffer = b""

    def open(self, network: Network, host: str, port: int, security: Security, tls: ssl.SSLContext | None) -> None:
        """Connect, greet, and encrypt as `security` says, by verifying with `tls`.

        Raises: RefusedError, MisfitError; OSError (with ForbiddenAddressError, ssl.SSLError, socket.gaierror and
        TimeoutError among them).
        """
        self.sock = connect(network, host, port, self.deadline)
        if security == "tls" and tls is not None:
            self._encrypt(tls, host)
        self._expect(Step.GREETING, self.getreply(), 220)
        self._expect(Step.GREETING, self.ehlo(), 250)
        if security == "starttls" and tls is not None:
            if not self.has_extn("starttls"):
                raise MisfitError("starttls_not_offered")
            self._expect(Step.TLS, self.docmd("STARTTLS"), 220)
            if self._buffer:
                # Someone on the way put words in the server's mouth before encryption (CVE-2011-0411).
                raise ssl.SSLError("data before the TLS handshake")
            self._encrypt(tls, host)
            self._expect(Step.GREETING, self.ehlo(), 250)
        self._pipelining = self.has_extn("pipelining")

    def authenticate(self, username: str, password: str) -> None:
        """Log in once, with PLAIN or LOGIN. (smtplib's own tries all mechanisms in turn, which can lock an account.)

        Raises: RefusedError, MisfitError, OSError.
        """
        offered = self.esmtp_features.get("auth", "").upper().split()
        user, secret = username.encode(), password.encode()
        if "PLAIN" in offered:
            answer = self.docmd("AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + secret).decode())
        elif "LOGIN" in offered:
            answer = self.docmd("AUTH LOGIN " + b64encode(user).decode())
            if answer[0] == 334:
                answer = self.docmd(b64encode(secret).decode())
        else:
            raise MisfitError("auth_not_offered")
        self._expect(Step.LOGIN, answer, 235)

    def transact(self, sender: str, recipient: str, message: bytes) -> Reply:
        """Send one message to one recipient and return the reply that settled it.

        `message` is in wire form, ending in CRLF; the addresses are ASCII without blanks or angle brackets. Where a
        reply before the final dot is a refusal, nothing was sent and the session is ready for another message, or
        closed. Raises: OSError when the connection fails; `handed_over` then tells whether the message had left.
        """
        self.handed_over = False
        self.sent += 1
        refused = self._envelope(sender, recipient)
        if refused is not None:
            self._recover(refused)
            return refused
        if b"\r\n." in message:
            message = message.replace(b"\r\n.", b"\r\n..")
        self.send(message + b".\r\n")
        # A failed write leaves at least the end of the final dot's line unsent, so up to here nothing was sent.
        self.handed_over = True
        reply = self._reply(Step.DOT)
        if reply.code in _ENDED:
            self.close()
        return reply

    def probe(self, sender: str) -> Reply:
        """Try the sender's address without sending anything. Raises: OSError."""
        self.send(f"MAIL FROM:<{sender}>\r\n")
        reply = self._reply(Step.MAIL)
        if reply.code == 250:
            self.docmd("RSET")
        return reply

    def alive(self) -> bool:
        """Whether the kept connection is still open, as far as this side can know without sending anything."""
        if self.sock is None or self._buffer:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(0):
            return True
        # The end, an unasked 421, or a TLS record without data of ours, such as a session ticket.
        try:
            self.sock.settimeout(0)
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def leave(self) -> None:
        """Say QUIT without waiting for an answer, and close."""
        with contextlib.suppress(OSError):
            if self.sock is not None:
                self.sock.settimeout(0.1)
                self.sock.sendall(b"QUIT\r\n")
        self.close()

    def send(self, s: object) -> None:
        """Write `s` (text or bytes) before the deadline. Raises: OSError."""
        data = s.encode("ascii") if isinstance(s, str) else s
        if not isinstance(data, bytes):
            raise TypeError("give str or bytes")
        self._ready().sendall(data)

    def getreply(self) -> tuple[int, bytes]:
        """Read one reply before the deadline; its code (-1 if it has none) and its lines. Raises: OSError."""
        lines = []
        for _ in range(_MOST_REPLY_LINES):
            line = self._line()
            lines.append(line[4:].strip())
            if not line[:3].isdigit():
                return -1, line.strip()
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        raise smtplib.SMTPServerDisconnected("a reply without end")

    def _envelope(self, sender: str, recipient: str) -> Reply | None:
        """Announce a message; None when the server waits for it, otherwise the first refusal."""
        commands = (
            (Step.MAIL, f"MAIL FROM:<{sender}>\r\n"),
            (Step.RCPT, f"RCPT TO:<{recipient}>\r\n"),
            (Step.DATA, "DATA\r\n"),
        )
        if not self._pipelining:
            for step, command in commands:
                self.send(command)
                reply = self._reply(step)
                if not _accepted(reply):
                    return reply
            return None
        self.send(commands[0][1] + commands[1][1] + commands[2][1])
        refused: Reply | None = None
        for step, _ in commands:
            try:
                reply = self._reply(step)
            except OSError:
                if refused is None:
                    raise
                self.close()
                return refused
            if refused is None and not _accepted(reply):
                refused = reply
            elif refused is not None and reply.code == 354:
                # RFC 2920 section 3.1 lets a server take DATA without a recipient. Leave rather than end the message.
                self.close()
            if reply.code in _ENDED:
                break
        return refused

    def _recover(self, refused: Reply) -> None:
        """Make the session ready for another message, or close it."""
        if refused.code in _ENDED:
            self.close()
        if self.sock is not None:
            try:
                if self.docmd("RSET")[0] != 250:
                    self.close()
            except OSError:
                self.close()

    def _reply(self, step: Step) -> Reply:
        code, text = self.getreply()
        return Reply(step, code, text.decode("utf-8", "replace"))

    def _expect(self, step: Step, answer: tuple[int, bytes], code: int) -> None:
        if answer[0] != code:
            raise RefusedError(Reply(step, answer[0], answer[1].decode("utf-8", "replace")))

    def _encrypt(self, tls: ssl.SSLContext, host: str) -> None:
        self.sock = tls.wrap_socket(self._ready(), server_hostname=host)

    def _ready(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        self.sock.settimeout(left)
        return self.sock

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_REPLY_LINE:
                raise smtplib.SMTPServerDisconnected("a reply line without end")
            received = self._ready().recv(_RECV_BYTES)
            if not received:
                raise smtplib.SMTPServerDisconnected("the server closed the connection")
            self._buffer += received
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line


def _accepted(reply: Reply) -> bool:
    return reply.code == 354 if reply.step is Step.DATA else 250 <= reply.code <= 252


class Pool:
    """Connections kept for the next message; thread-safe. The one used last is used first.

    most_messages: after so many a connection is given up. max_age_ms: after so long a connection is given up; measured
    on the wall clock, since a frozen function's monotonic clock may stand still.
    """

    def __init__(self, clock: Clock, most_messages: int, max_age_ms: int = 60_000) -> None:
        self._clock = clock
        self._most_messages = most_messages
        self._max_age_ms = max_age_ms
        self._lock = threading.Lock()
        self._idle: list[Connection] = []

    def take(self) -> Connection | None:
        """Return a kept connection that looks alive, if there is one."""
        while (kept := self._pop()) is not None:
            if 0 <= self._clock.now_ms() - kept.opened_ms < self._max_age_ms and kept.alive():
                return kept
            kept.leave()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next message, unless it is closed or used up."""
        if connection.sock is None:
            return
        if connection.sent >= self._most_messages:
            connection.leave()
            return
        with self._lock:
            self._idle.append(connection)

    def clear(self) -> None:
        """Close the connections that nobody uses now."""
        while (kept := self._pop()) is not None:
            kept.leave()

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
