"""A session with an IMAP server that only reads (RFC 3501), by the standard library, over connections that were judged.

Hostile and broken servers are bounded: in time by one deadline, in bytes by `MOST_BYTES` a session, and in a mail by
what was asked for. Nothing is marked as seen: the folder is opened by EXAMINE, and mails are read by BODY.PEEK.
"""

import contextlib
import imaplib
import io
import re
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from shared.net.connecting import connect
from shared.net.network import Network
from shared.net.problems import code_of

MOST_BYTES: Final = 160 * 1024 * 1024
"""That are read in one session."""
MOST_LITERAL: Final = 2 * 1024 * 1024
"""Of one answer. Some servers send a mail whole, though its beginning alone was asked for."""
MOST_LINE: Final = 1_000_000
"""Of a line, such as the numbers of all mails of a week."""
CONNECT_S: Final = 15.0
ID: Final = '("name" "mePush" "version" "1.0" "vendor" "mePush")'
"""NetEase lets nobody in who does not say who it is (RFC 2971); others break off when they are told without asking."""
_COMMANDS: Final = ("NONAUTH", "AUTH", "SELECTED")
_UID = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]{10,40})"')
_LITERAL = re.compile(rb"\{(\d{1,20})\}\s*$")


class MailboxError(Exception):
    """The mailbox cannot be read now. code: of `PROBLEMS`, or of `shared.net.problems.WORDS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class LargeAnswerError(Exception):
    """The server sends more than it was asked for; nothing more can be understood of the session."""


class Envelope(Struct, frozen=True):
    """What is asked of each new mail first."""

    uid: int
    size: int
    at: int | None
    """When the server took it, in milliseconds since the epoch."""
    headers: bytes


class Imap(imaplib.IMAP4):
    """One session. Use as a context manager; it ends with LOGOUT."""

    file: Any = None
    _file: Any = None

    def __init__(self, network: Network, host: str, port: int, tls: ssl.SSLContext, deadline: float) -> None:
        """Connect. deadline: of the whole session, on the monotonic clock. Raises: MailboxError."""
        self._network = network
        self._tls = tls
        self._deadline = deadline
        self._wire: _Wire | None = None
        try:
            super().__init__(host, port)
        except LargeAnswerError as error:
            raise MailboxError("answers_too_large") from error
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxError(_code(error)) from error

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def open(self, host: str = "", port: int = 993, timeout: float | None = None) -> None:
        """Connect and encrypt; the base calls it. Raises: OSError."""
        self.host, self.port = host, port
        sock = connect(self._network, host, port, min(self._deadline, time.monotonic() + CONNECT_S))
        try:
            self.sock = self._tls.wrap_socket(sock, server_hostname=host)
        except BaseException:  # whatever ends it, nobody else closes it
            sock.close()
            raise
        self._wire = _Wire(self.sock, self._deadline)
        # The second is what Python 3.14 calls it.
        self.file = self._file = io.BufferedReader(self._wire, 64 * 1024)

    def read(self, size: int) -> bytes:
        """Read an answer's literal. Raises: LargeAnswerError; OSError."""
        if size > MOST_LITERAL:
            raise LargeAnswerError("a literal too large")
        data: bytes = self.file.read(size)
        if len(data) < size:
            raise self.abort("the connection ended")
        return data

    def readline(self) -> bytes:
        """Read a line. Raises: IMAP4.error; OSError."""
        line: bytes = self.file.readline(MOST_LINE + 1)
        if len(line) > MOST_LINE:
            raise LargeAnswerError("a line too long")
        return line

    def send(self, data: Any) -> None:
        """Write. Raises: OSError."""
        self.sock.settimeout(_left(self._deadline))
        self.sock.sendall(data)

    def enter(self, username: str, password: str, folder: str) -> int | None:
        """Log in once and open the folder; returns its UIDVALIDITY. Raises: MailboxError."""
        if not (username.isprintable() and password.isprintable() and username.isascii() and password.isascii()):
            raise MailboxError("login_not_writable")
        with _problems("login_refused"):
            self._login(self._quote(username), self._quote(password))
        with _problems("connection_lost"):
            self._introduce()
        with _problems("folder_refused"):
            return self._examine(folder)

    def new_uids(self, after: int | None, since: datetime) -> list[int]:
        """The UIDs behind one, in order; or of the mails since a day, if it is None. Raises: MailboxError."""
        asked = f"SINCE {since.day}-{_MONTHS[since.month - 1]}-{since.year}" if after is None else f"UID {after + 1}:*"
        with _problems("search_refused"):
            kind, answers = self.uid("SEARCH", asked)
            self._good(kind)
        words = b" ".join(each for each in answers if isinstance(each, bytes)).split()
        found = {int(word) for word in words if word.isdigit() and len(word) <= 10}
        # `n:*` names the last mail even if its UID is smaller (RFC 3501 section 6.4.8).
        return sorted(uid for uid in found if after is None or uid > after)

    def envelopes(self, uids: Sequence[int], names: Sequence[str]) -> list[Envelope]:
        """Sizes, times and some headers of mails, in the order of their UIDs; of those that are still there.

        Raises: MailboxError.
        """
        asked = f"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({' '.join(names).upper()})])"
        found = {uid: (about, data) for uid, about, data in self._fetch(",".join(map(str, uids)), asked)}
        return [_envelope(uid, *found[uid]) for uid in uids if uid in found]

    def content(self, uid: int, size: int, most: int) -> bytes | None:
        """A mail, or its first `most` bytes; None if the server does not hand it over.

        Raises: MailboxError, LargeAnswerError.
        """
        # Only of large ones a part is asked for: not all servers know how to answer.
        part = f"<0.{most}>" if size > most else ""
        found = {each: data for each, _, data in self._fetch(str(uid), f"(UID BODY.PEEK[]{part})")}
        return found.get(uid) or None

    def leave(self) -> None:
        """Log out and close, whatever state the session is in."""
        with contextlib.suppress(Exception):
            # The answer is not waited for long: the server may be the reason to leave.
            self._deadline = min(self._deadline, time.monotonic() + 2)
            if self._wire is not None:
                self._wire.deadline = self._deadline
            self.logout()
        with contextlib.suppress(Exception):
            self.shutdown()

    def _login(self, username: str, password: str) -> None:
        kind, _ = self._simple_command("LOGIN", username, password)
        self._good(kind)
        self.state = "AUTH"

    def _introduce(self) -> None:
        kind, answers = self.capability()
        self._good(kind)
        able = b" ".join(each for each in answers if isinstance(each, bytes)).upper().split()
        if b"ID" in able:
            imaplib.Commands.setdefault("ID", _COMMANDS)
            try:
                self._simple_command("ID", ID)
            except self.abort:
                raise
            except self.error:
                # It names it and refuses it all the same: whether that counts is seen when the folder is opened.
                return

    def _examine(self, folder: str) -> int | None:
        kind, answers = self.select(self._quote(_utf7(folder)), readonly=True)
        if kind != "OK":
            said = b" ".join(each for each in answers if isinstance(each, bytes)).lower()
            raise MailboxError("login_unsafe" if b"unsafe login" in said else "folder_refused")
        _, found = self.response("UIDVALIDITY")
        first = found[0] if found else None
        return int(first) if isinstance(first, bytes) and first.isdigit() else None

    def _fetch(self, uids: str, asked: str) -> Iterator[tuple[int, bytes, bytes]]:
        """(UID, what stands beside the content, the content) of each mail. Raises: MailboxError, LargeAnswerError."""
        with _problems("fetch_refused"):
            kind, answers = self.uid("FETCH", uids, asked)
            self._good(kind)
        return _fetched(answers)

    def _good(self, kind: str) -> None:
        if kind != "OK":
            raise self.error(kind)


class _Wire(io.RawIOBase):
    """A connection as something to read from, with one deadline and a bound for everything."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self.deadline = deadline
        self._taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self.deadline))
        count = self._sock.recv_into(buffer)
        self._taken += count
        if self._taken > MOST_BYTES:
            raise LargeAnswerError("a session too long")
        return count


def _left(deadline: float) -> float:
    """The seconds until then. Raises: TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("out of time")
    return left


@contextlib.contextmanager
def _problems(refused: str) -> Iterator[None]:
    """Turn what goes wrong into a MailboxError. refused: the code for what the server refuses."""
    try:
        yield
    except (OSError, imaplib.IMAP4.abort) as error:
        raise MailboxError(_code(error)) from error
    except (imaplib.IMAP4.error, ValueError) as error:
        raise MailboxError(refused) from error


def _code(error: BaseException) -> str:
    known = code_of(error)
    if known is not None:
        return known
    for kind, code in (
        (TimeoutError, "timed_out"),
        (ssl.SSLError, "tls_failed"),
        (socket.gaierror, "host_not_found"),
        (ConnectionRefusedError, "connection_refused"),
    ):
        if isinstance(error, kind):
            return code
    return "connection_lost"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _fetched(answers: Sequence[Any]) -> Iterator[tuple[int, bytes, bytes]]:
    """The mails of an answer to FETCH; what the server says beside them, such as changes of flags, is passed over."""
    for at, answer in enumerate(answers):
        if isinstance(answer, bytes) and b"BODY[" in answer and (known := _UID.search(answer)) is not None:
            # Without a literal: nothing is there, or the server does not hand it over.
            yield int(known[1]), answer, b""
        if not (isinstance(answer, tuple) and len(answer) >= 2):
            continue
        # What follows a literal may hold the UID, too.
        rest = answers[at + 1] if at + 1 < len(answers) and isinstance(answers[at + 1], bytes) else b""
        about = b" ".join((_LITERAL.sub(b"", answer[0]), rest))
        uid = _UID.search(about)
        if uid is not None:
            yield int(uid[1]), about, bytes(answer[1])


def _envelope(uid: int, about: bytes, headers: bytes) -> Envelope:
    size, date = _SIZE.search(about), _DATE.search(about)
    return Envelope(uid, int(size[1]) if size else 0, None if date is None else _ms(date[1]), headers)


def _ms(date: bytes) -> int | None:
    """A time as IMAP writes it (`17-Jul-1996 02:44:25 -0700`), in milliseconds since the epoch.

    It is the end of that second: what comes back at once does not come before it was sent.
    """
    found = re.match(rb"\s*(\d{1,2})-(\w{3})-(\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4})", date)
    try:
        if found is None:
            return None
        day, month, year, clock, zone = (each.decode() for each in found.groups())
        number = _MONTHS.index(month.title()) + 1
        made = datetime.fromisoformat(f"{year}-{number:02d}-{int(day):02d}T{clock}{zone[:3]}:{zone[3:]}")
        return int(made.astimezone(UTC).timestamp()) * 1000 + 999
    except (ValueError, OverflowError):
        return None


def _utf7(name: str) -> str:
    """A folder's name in the modified UTF-7 of IMAP (RFC 3501 section 5.1.3)."""
    pieces: list[str] = []
    other = ""
    for letter in [*name, ""]:
        plain = letter == "" or " " <= letter <= "~"
        if plain and other:
            code = b64encode(other.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
            pieces.append(f"&{code}-")
            other = ""
        if not plain:
            other += letter
        else:
            pieces.append("&-" if letter == "&" else letter)
    return "".join(pieces)
