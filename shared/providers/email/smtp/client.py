"""An SMTP session up to where messages may go: connected, encrypted, logged in; and a pool that keeps sessions."""

import contextlib
import select
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Sequence
from typing import Literal

from shared.model.clock import Clock
from shared.net.connecting import connecting
from shared.net.network import Spot
from shared.net.tasks import Task
from shared.providers.email.smtp.stream import Reply, Step, Stream

Security = Literal["starttls", "tls", "none"]


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


class Connection:
    """One SMTP session, of one thread at a time."""

    def __init__(self, stream: Stream, opened_ms: int) -> None:
        self.stream = stream
        self.opened_ms = opened_ms
        """Wall-clock time, in milliseconds since the epoch."""
        self.extensions: dict[str, str] = {}
        """What the server offers, in upper case, each with what it says of it."""
        self.tried = 0
        """Messages tried on this connection."""
        self.depth = 1
        """How many messages may be under way, where the server takes them without being waited for."""
        self.served = False
        """Whether the server has settled a message on it."""
        self.took_bdat = False
        """Whether the server has taken a message by BDAT."""
        self.needs_reset = False
        """Whether a message was refused half-way, so that the server has to be told to forget it."""
        self.is_closed = False

    @property
    def pipelines(self) -> bool:
        """Whether commands may follow one another without waiting (RFC 2920)."""
        return "PIPELINING" in self.extensions

    def greet(self, helo: str, host: str, security: Security, tls: ssl.SSLContext | None) -> Task[None]:
        """Greet, and encrypt as `security` says, by verifying with `tls`. Raises: RefusedError, MisfitError; OSError
        (with ssl.SSLError and TimeoutError among them)."""
        if security == "tls" and tls is not None:
            yield from self.stream.encrypt(tls, host)
        _expect((yield from self.stream.reply(Step.GREETING)), 220)
        yield from self._ehlo(helo)
        if security == "starttls" and tls is not None:
            if "STARTTLS" not in self.extensions:
                raise MisfitError("starttls_not_offered")
            _expect((yield from self.ask(Step.TLS, "STARTTLS")), 220)
            yield from self.stream.encrypt(tls, host)
            yield from self._ehlo(helo)

    def authenticate(self, username: str, password: str) -> Task[None]:
        """Log in once, with PLAIN or LOGIN: to try all mechanisms in turn can lock an account.

        Raises: RefusedError, MisfitError, OSError.
        """
        offered = self.extensions.get("AUTH", "").upper().split()
        user, secret = username.encode(), password.encode()
        if "PLAIN" in offered:
            answer = yield from self.ask(Step.LOGIN, "AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + secret).decode())
        elif "LOGIN" in offered:
            answer = yield from self.ask(Step.LOGIN, "AUTH LOGIN " + b64encode(user).decode())
            if answer.code == 334:
                answer = yield from self.ask(Step.LOGIN, b64encode(secret).decode())
        else:
            raise MisfitError("auth_not_offered")
        _expect(answer, 235)

    def probe(self, sender: str) -> Task[Reply]:
        """Try the sender's address without sending anything. Raises: OSError."""
        reply = yield from self.ask(Step.MAIL, f"MAIL FROM:<{sender}>")
        if reply.code == 250:
            yield from self.ask(Step.RESET, "RSET")
        return reply

    def ask(self, step: Step, command: str) -> Task[Reply]:
        """Say a command and wait for its reply. Raises: OSError."""
        data = f"{command}\r\n".encode("ascii")
        if not self.stream.wrote(data):
            yield from self.stream.write_on(data)
        return (yield from self.stream.reply(step))

    def alive(self) -> bool:
        """Whether the kept connection is still open, as far as this side can know without sending anything."""
        if self.is_closed or not self.stream.is_clean:
            return False
        poll = select.poll()
        poll.register(self.stream.sock, select.POLLIN)
        if not poll.poll(0):
            return True
        # The end, an unasked 421, or a TLS record without data of ours, such as a session ticket.
        try:
            self.stream.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def leave(self) -> None:
        """Say QUIT without waiting for an answer, and close."""
        with contextlib.suppress(OSError):
            if not self.is_closed:
                self.stream.sock.send(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        """Close the connection without a word."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.stream.sock.close()

    def _ehlo(self, helo: str) -> Task[None]:
        reply = yield from self.ask(Step.GREETING, f"EHLO {helo}")
        _expect(reply, 250)
        self.extensions = {}
        for line in reply.text.split("\n")[1:]:
            # Old servers write `AUTH=LOGIN`.
            word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
            known = self.extensions.get(word.upper(), "")
            self.extensions[word.upper()] = f"{known} {rest}".strip()


def dial(spots: Sequence[Spot], opened_ms: int, deadline: float) -> Task[Connection]:
    """Connect to one of these addresses. Raises: OSError."""
    sock: socket.socket = yield from connecting(spots, deadline)
    return Connection(Stream(sock, deadline), opened_ms)


def _expect(reply: Reply, code: int) -> None:
    if reply.code != code:
        raise RefusedError(reply)


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
        self.round = 0
        """How often it was cleared."""

    def take(self) -> Connection | None:
        """Return a kept connection that looks alive, if there is one."""
        while (kept := self._pop()) is not None:
            if 0 <= self._clock.now_ms() - kept.opened_ms < self._max_age_ms and kept.alive():
                return kept
            kept.leave()
        return None

    def give_back(self, connection: Connection, round: int) -> None:
        """Keep a connection for the next message, unless it is closed or used up, or the pool was cleared since.

        round: of the pool, when the connection was begun to be used.
        """
        if connection.is_closed:
            return
        with self._lock:
            if connection.tried < self._most_messages and round == self.round:
                self._idle.append(connection)
                return
        connection.leave()

    def clear(self) -> None:
        """Close the connections that nobody uses now, and the others when they come back."""
        with self._lock:
            self.round += 1
        while (kept := self._pop()) is not None:
            kept.leave()

    def _pop(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None
