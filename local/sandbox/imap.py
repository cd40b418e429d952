"""A double of an IMAP server (IMAP4rev1, RFC 3501) over TLS with one folder, which can be told to misbehave.

It knows what a reader of bounces needs: CAPABILITY, LOGIN, ID, EXAMINE, UID SEARCH, UID FETCH, NOOP, LOGOUT. It refuses
whatever would change a mail: SELECT, STORE, BODY[] without PEEK.
"""

import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from local.sandbox.base import HOST
from local.sandbox.tls import Identity, make_identity, server_context
from shared.model.clock import Clock, SystemClock

USERNAME, PASSWORD = "returned@example.com", "imap-authorization-code"
UNSAFE = "Unsafe Login. Please contact kefu@188.com for help"
"""What NetEase says to those that do not say who they are."""
REFUSED = "Login fail. Account is abnormal, service is not open, password is incorrect, or login frequency limited"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PEEK = re.compile(r"BODY\.PEEK\[([^\]]*)\](?:<(\d+)\.(\d+)>)?")


@dataclass(frozen=True, slots=True)
class Kept:
    """A mail in the folder."""

    uid: int
    at_ms: int
    data: bytes


class MailFolder:
    """The mails of a folder; thread-safe."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self.validity = 1_000
        self._next = 1
        self._mails: list[Kept] = []

    @property
    def mails(self) -> list[Kept]:
        """All mails, by their numbers."""
        with self._lock:
            return list(self._mails)

    def put(self, data: bytes, at_ms: int | None = None) -> int:
        """Put a mail in; returns its number."""
        with self._lock:
            at_ms = self._clock.now_ms() if at_ms is None else at_ms
            self._mails.append(Kept(self._next, at_ms, data))
            self._next += 1
            return self._next - 1

    def remove(self, uid: int) -> None:
        """Take a mail out, as people do."""
        with self._lock:
            self._mails = [each for each in self._mails if each.uid != uid]

    def renumber(self) -> None:
        """Number all mails anew, as servers do that were set up again: the numbers of before mean nothing."""
        with self._lock:
            self.validity += 1
            self._mails = [Kept(i, each.at_ms, each.data) for i, each in enumerate(self._mails, start=1)]
            self._next = len(self._mails) + 1


class ImapSandbox:
    """The server; it listens from when its port is first asked for until `stop`.

    names_id: say that ID is known. needs_id: let nobody open the folder who has not sent it. breaks_on_id: close the
    connection at ID. refusals: so many logins are refused. most_logins: after so many all are, as services do with
    those that come too often. drops_at: the connection is cut when one of these mails is asked for. ignores_parts: a
    mail is sent whole, whatever was asked for. trickles: an answer takes so many seconds for each line. babbles: the
    folder's opening is followed by so many bytes that nobody asked for. withholds: `HEADER` or `BODY`: of all
    mails that is not handed over.

    logins, commands: what was asked, with no secret in it.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.folder = MailFolder(clock)
        self.username, self.password = USERNAME, PASSWORD
        self.names_id = True
        self.needs_id = False
        self.breaks_on_id = False
        self.refusals = 0
        self.most_logins: int | None = None
        self.drops_at: set[int] = set()
        self.ignores_parts = False
        self.withholds = ""
        self.trickles = 0.0
        self.babbles = 0
        self.logins = 0
        self.commands: list[str] = []
        self._server: _Server | None = None

    @cached_property
    def identity(self) -> Identity:
        """The server's certificate and key."""
        return make_identity()

    @property
    def ca_pem(self) -> str:
        """The certificate of the authority that vouches for the server."""
        return self.identity.ca_pem

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            self._server = _Server(self, server_context(self.identity))
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return int(self._server.server_address[1])

    def settings(self) -> dict[str, Any]:
        """What an account's settings say of this mailbox."""
        return {"host": HOST, "port": self.port, "username": self.username, "ca_pem": self.ca_pem}

    def stop(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def may_log_in(self, username: str, password: str) -> bool:
        """Count a login, and say whether it is good."""
        self.logins += 1
        if self.refusals:
            self.refusals -= 1
            return False
        if self.most_logins is not None and self.logins > self.most_logins:
            return False
        return (username, password) == (self.username, self.password)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, sandbox: ImapSandbox, tls: ssl.SSLContext) -> None:
        super().__init__((HOST, 0), _Session)
        self.sandbox = sandbox
        self.tls = tls

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves or does not trust the certificate is part of the game."""


class _GoneError(Exception):
    """The connection is to be cut."""


class _Session(socketserver.BaseRequestHandler):
    """One connection."""

    server: _Server

    def handle(self) -> None:
        self.request.settimeout(20)
        with self.server.tls.wrap_socket(self.request, server_side=True) as self.sock:
            self.sandbox = self.server.sandbox
            self.entered = self.told_id = self.opened = False
            self._write("* OK IMAP4rev1 sandbox ready")
            reader = self.sock.makefile("rb")
            try:
                while line := reader.readline(65_536):
                    if not self._answer(line.decode("utf-8", "replace").rstrip("\r\n")):
                        return
            except _GoneError:
                # Cut, not ended: nothing more of it is understood.
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def _answer(self, line: str) -> bool:
        tag, _, rest = line.partition(" ")
        name, _, arguments = rest.partition(" ")
        name = name.upper()
        if name == "UID":
            kind, _, arguments = arguments.partition(" ")
            name = f"UID {kind.upper()}"
        self.sandbox.commands.append(name if name == "LOGIN" else f"{name} {arguments}".strip())
        known: dict[str, Callable[[str, str], str]] = {
            "CAPABILITY": self._capability,
            "NOOP": lambda tag, _: "OK NOOP completed",
            "LOGIN": self._login,
            "ID": self._id,
            "EXAMINE": self._examine,
            "UID SEARCH": self._search,
            "UID FETCH": self._fetch,
            "LOGOUT": self._logout,
        }
        known_name = known.get(name)
        said = "BAD command unknown or refused" if known_name is None else known_name(tag, arguments)
        self._write(f"{tag} {said}")
        return name != "LOGOUT"

    def _capability(self, tag: str, arguments: str) -> str:
        self._write("* CAPABILITY IMAP4rev1 UIDPLUS" + (" ID" if self.sandbox.names_id else ""))
        return "OK CAPABILITY completed"

    def _login(self, tag: str, arguments: str) -> str:
        words = [
            each.replace('\\"', '"').replace("\\\\", "\\") for each in re.findall(r'"((?:\\.|[^"\\])*)"', arguments)
        ]
        if len(words) != 2 or not self.sandbox.may_log_in(*words):
            return f"NO LOGIN {REFUSED}"
        self.entered = True
        return "OK LOGIN completed"

    def _id(self, tag: str, arguments: str) -> str:
        if self.sandbox.breaks_on_id:
            raise _GoneError
        self.told_id = True
        self._write('* ID ("name" "sandbox")')
        return "OK ID completed"

    def _examine(self, tag: str, arguments: str) -> str:
        if not self.entered:
            return "NO log in first"
        if self.sandbox.needs_id and not self.told_id:
            return f"NO EXAMINE {UNSAFE}"
        if arguments.strip('"').upper() != "INBOX":
            return "NO no such folder"
        self.opened = True
        folder = self.sandbox.folder
        self._write(f"* {len(folder.mails)} EXISTS", "* 0 RECENT", r"* FLAGS (\Seen \Deleted)")
        self._write(f"* OK [UIDVALIDITY {folder.validity}] numbers are good")
        for _ in range(self.sandbox.babbles // 1_000):
            self._write("* OK " + "x" * 993)
        return "OK [READ-ONLY] EXAMINE completed"

    def _search(self, tag: str, arguments: str) -> str:
        mails = self.sandbox.folder.mails
        behind = re.fullmatch(r"UID (\d+):\*", arguments)
        since = re.fullmatch(r"SINCE (\d{1,2})-(\w{3})-(\d{4})", arguments)
        if not self.opened or not (behind or since):
            return "BAD search"
        if behind:
            found = [each.uid for each in mails if each.uid >= int(behind[1])]
            # The last mail is in the range, whatever its number is.
            found = found or [each.uid for each in mails[-1:]]
        else:
            day, month, year = since.groups() if since else ("1", "Jan", "1970")
            start = datetime(int(year), _MONTHS.index(month) + 1, int(day), tzinfo=UTC)
            found = [each.uid for each in mails if _when(each) >= start]
        self._write("* SEARCH " + " ".join(map(str, found)) if found else "* SEARCH")
        return "OK SEARCH completed"

    def _fetch(self, tag: str, arguments: str) -> str:
        numbers, _, asked = arguments.partition(" ")
        wanted = _PEEK.search(asked)
        if not self.opened or wanted is None:
            return "BAD fetch, or one that would mark mails as seen"
        uids = {int(each) for each in numbers.split(",")}
        for number, kept in enumerate(self.sandbox.folder.mails, start=1):
            if kept.uid in uids:
                self._send_mail(number, kept, wanted)
        return "OK FETCH completed"

    def _send_mail(self, number: int, kept: Kept, wanted: "re.Match[str]") -> None:
        section, start, most = wanted.groups()
        if not section and kept.uid in self.sandbox.drops_at:
            raise _GoneError
        data, label = kept.data, f"BODY[{section}]"
        if section.startswith("HEADER.FIELDS"):
            data = _some_headers(data, section.partition("(")[2].rstrip(")").split())
        if start is not None and not self.sandbox.ignores_parts:
            data = data[int(start) : int(start) + int(most)]
            label += f"<{start}>"
        if self.sandbox.withholds == ("HEADER" if section else "BODY"):
            self._write(f"* {number} FETCH (UID {kept.uid} RFC822.SIZE {len(kept.data)} {label} NIL)")
            return
        when = _when(kept)
        date = f"{when.day:2d}-{_MONTHS[when.month - 1]}-{when:%Y %H:%M:%S} +0000"
        head = f'* {number} FETCH (UID {kept.uid} INTERNALDATE "{date}" RFC822.SIZE {len(kept.data)} {label} '
        self._write(rf"* {number} FETCH (FLAGS (\Recent))")
        self.sock.sendall(f"{head}{{{len(data)}}}\r\n".encode() + data + b")\r\n")

    def _logout(self, tag: str, arguments: str) -> str:
        self._write("* BYE until next time")
        return "OK LOGOUT completed"

    def _write(self, *lines: str) -> None:
        for line in lines:
            if self.sandbox.trickles:
                time.sleep(self.sandbox.trickles)
            self.sock.sendall(f"{line}\r\n".encode())


def _when(kept: Kept) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=kept.at_ms)


def _some_headers(data: bytes, names: list[str]) -> bytes:
    """Header fields by name, with those lines that go on with them."""
    head = data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    wanted = {name.upper().encode() for name in names}
    fields = re.split(rb"\n(?![ \t])", head)
    found = [field for field in fields if field.partition(b":")[0].strip().upper() in wanted]
    return b"".join(field.replace(b"\n", b"\r\n") + b"\r\n" for field in found) + b"\r\n"
