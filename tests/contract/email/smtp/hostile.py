"""An SMTP server that strikes: it closes, refuses, stammers, is silent, and knows what it has taken all the same."""

import contextlib
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

STRIKES = (
    "close",  # before the command is read
    "take_and_close",  # without the reply
    "closing",  # 421, and closes
    "garbage",
    "refuse",
    "refuse_for_now",
    "twice",
    "early",  # says yes to a message before it has come
    "silence",
    "in_the_message",  # closes while it comes
)
REFUSED = b"gone"
"""Addresses that begin so are refused."""
_BDAT = re.compile(rb"BDAT (\d+) LAST\Z").match
_ADDRESS = re.compile(rb"RCPT TO:<([^>]*)>").match


class HostileServer:
    """Serves on loopback, and strikes once in a connection, at a command of its choice.

    extensions: what it offers. strikes: those that it chooses from. bdat: whether it can do BDAT, hangs with it, or
    leaves the message of one that it refuses where it is, so that its lines are commands. struck: how often it did.
    taken: how often it took a message, by recipient. verbs: the commands that it has heard.
    """

    def __init__(
        self,
        seed: int,
        extensions: Sequence[str],
        strikes: Sequence[str] = STRIKES,
        bdat: Literal["good", "hangs", "leaves"] = "good",
    ) -> None:
        self._random = random.Random(seed)
        self._extensions = extensions
        self._strikes = strikes
        self.bdat = bdat
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.taken: Counter[str] = Counter()
        self.connections = 0
        self.struck = 0
        self.verbs: set[bytes] = set()

    @contextlib.contextmanager
    def serving(self) -> Iterator["HostileServer"]:
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        try:
            yield self
        finally:
            self._ended.set()
            # An accept that waits does not notice that its socket is closed.
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            accepting.join(5)
            self._listener.close()
            for thread in self._threads:
                thread.join(5)

    def _accept(self) -> None:
        while not self._ended.is_set():
            sock, _ = self._listener.accept()
            self.connections += 1
            choose = random.Random(self._random.random())
            # The first connections are struck more often than the others, so that everything comes to an end.
            strike = choose.choice(self._strikes) if choose.random() < 3 / (2 + self.connections) else ""
            session = _Session(self, sock, choose, strike, self._extensions)
            thread = threading.Thread(target=session.run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self, recipient: str) -> int:
        """Note a message that was taken; returns its number."""
        with self._lock:
            self.taken[recipient] += 1
            return sum(self.taken.values())

    def wait_for_end(self, seconds: float) -> None:
        """Be silent, until everything ends."""
        self._ended.wait(seconds)


class _Session:
    def __init__(
        self,
        server: HostileServer,
        sock: socket.socket,
        choose: random.Random,
        strike: str,
        extensions: Sequence[str],
    ) -> None:
        self._server = server
        self._sock = sock
        self._choose = choose
        self._strike = strike
        self._at = choose.randint(2, 40)
        """The command at which it strikes; the first is EHLO."""
        self._extensions = extensions
        self._buffer = b""
        self._in_mail = False
        self._recipient = ""
        self._heard = 0

    def run(self) -> None:
        with contextlib.suppress(OSError, EOFError), self._sock:
            self._sock.settimeout(5)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._say("220 hello")
            while True:
                self._one(self._line())

    def _one(self, line: bytes) -> None:
        self._heard += 1
        strike = self._strike if self._heard == self._at else ""
        self._server.struck += bool(strike)
        verb = line[:4].upper()
        self._server.verbs.add(verb)
        if strike == "close":
            raise EOFError
        if verb == b"QUIT":
            raise EOFError
        if verb in (b"EHLO", b"RSET", b"MAIL", b"RCPT"):
            self._before_the_message(verb, line, strike)
        elif verb == b"DATA":
            self._data(strike)
        elif (found := _BDAT(line)) is not None:
            self._bdat(int(found[1]), strike)
        else:
            self._say("500 what?")

    def _bdat(self, size: int, strike: str) -> None:
        if self._server.bdat == "leaves" and not self._recipient:
            self._say("503 no recipient")
            return
        self._body(size, strike)
        if self._server.bdat == "hangs":
            self._server.wait_for_end(5)
            raise EOFError
        self._end(strike)

    def _before_the_message(self, verb: bytes, line: bytes, strike: str) -> None:
        if verb == b"EHLO":
            lines = ["server", *self._extensions, "8BITMIME"]
            self._say(*(f"250{'-' if at < len(lines) - 1 else ' '}{word}" for at, word in enumerate(lines)))
        elif verb == b"RSET":
            self._recipient, self._in_mail = "", False
            self._answer("250 flushed", "" if strike in ("refuse", "refuse_for_now") else strike)
        elif verb == b"MAIL":
            self._in_mail = self._answer("250 sender ok", strike)
        elif not self._in_mail:
            self._say("503 no sender")
        else:
            found = _ADDRESS(line)
            if found is not None and found[1].startswith(REFUSED):
                self._say("550 5.1.1 no")
            elif self._answer("250 recipient ok", strike) and found is not None:
                self._recipient = found[1].decode()

    def _data(self, strike: str) -> None:
        if not self._recipient:
            self._say("503 no recipient")
        elif self._answer("354 go on", "" if strike in ("in_the_message", "early") else strike):
            if strike == "early":
                self._say("250 taken already")
            self._body(None, strike)
            self._end("" if strike != "early" else "quiet")

    def _body(self, size: int | None, strike: str) -> None:
        if strike == "in_the_message":
            self._more()
            raise EOFError
        if size is not None:
            while len(self._buffer) < size:
                self._more()
            self._buffer = self._buffer[size:]
            return
        while (end := self._buffer.find(b"\r\n.\r\n")) < 0:
            self._more()
        self._buffer = self._buffer[end + 5 :]

    def _end(self, strike: str) -> None:
        """Answer a message that has come whole."""
        if not self._recipient:
            self._say("503 no recipient")
            return
        recipient, self._recipient, self._in_mail = self._recipient, "", False
        if strike in ("refuse", "refuse_for_now", "closing"):
            self._answer("", strike)
            return
        number = self._server.take(recipient)
        if strike != "quiet":
            self._answer(f"250 2.0.0 Ok: queued as ID{number:08d}", strike)

    def _answer(self, reply: str, strike: str) -> bool:
        """Give a reply, or what a strike makes of it; returns whether it was a yes."""
        if strike == "take_and_close":
            raise EOFError
        if strike == "silence":
            self._server.wait_for_end(1.5)
            raise EOFError
        if strike == "closing":
            self._say("421 4.3.2 closing")
            raise EOFError
        if strike in ("garbage", "refuse", "refuse_for_now"):
            said = {"garbage": "this is no reply", "refuse": "550 5.1.1 no", "refuse_for_now": "451 4.3.0 later"}
            self._say(said[strike])
            # Garbage may stand for a yes.
            return strike == "garbage"
        self._say(*[reply] * (2 if strike == "twice" else 1))
        return True

    def _say(self, *lines: str) -> None:
        """Write lines, in pieces of any length."""
        data = "".join(f"{line}\r\n" for line in lines).encode()
        while data:
            size = self._choose.choice((1, 3, 20, len(data), len(data)))
            self._sock.sendall(data[:size])
            data = data[size:]

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _more(self) -> None:
        received = self._sock.recv(self._choose.choice((10, 500, 65_536)))
        if not received:
            raise EOFError
        self._buffer += received
