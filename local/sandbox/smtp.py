"""A double of an SMTP server, with an outbox and scripted faults; as a program, a bare sink for benchmarks.

`python -m local.sandbox.smtp --port 0 --plain` prints its port, counts messages without reading them, prints the count
and ends when its standard input does.
"""

import argparse
import asyncio
import itertools
import logging
import re
import ssl
import threading
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from local.sandbox.base import Delivery, Fault, Outbox, Sandbox
from local.sandbox.mail import read_mail
from local.sandbox.sink import run_sink
from local.sandbox.tls import Identity, TlsDoor, make_identity, server_context

_ANGLE_ADDRESS = re.compile(r"\s*<([^<>\s]+)>\s*(.*)\Z").match
_LONGEST_MESSAGE = 32 * 1024 * 1024

# Refusals with these codes are about the session or the sender, so they answer MAIL; others answer the final dot.
_ANSWER_MAIL = frozenset({421, 501, 503, 530, 535})
_TEXTS = {
    421: "4.3.2 Service not available, closing channel",
    450: "4.2.1 Mailbox busy",
    451: "4.3.0 Local error in processing",
    452: "4.3.1 Insufficient system storage",
    454: "Temporary service failure",
    550: "5.1.1 No such user",
    552: "Message is too long.",
    554: "5.7.1 Message rejected as spam",
}
_THROTTLED = {
    "plain": "450 4.7.1 Rate limit exceeded",
    "ses": "454 Throttling failure: Maximum sending rate exceeded.",
    "qq": "550 Sender frequency limited",
}
_LOGIN_REFUSED = {
    "plain": "535 5.7.8 Authentication credentials invalid",
    "ses": "535 Authentication Credentials Invalid",
    "qq": "535 Login Fail. Please enter your authorization code to login. More information in the help pages",
}
_LOGIN_WANTED = {
    "plain": "530 5.7.0 Authentication required",
    "ses": "530 Authentication required",
    "qq": "503 Error: need EHLO and AUTH first !",
}

Flavour = Literal["plain", "ses", "qq"]


class SmtpSandbox(Sandbox):
    """An SMTP server on loopback.

    security: `none`, `starttls` or `tls`, with a certificate for localhost and 127.0.0.1 that `ca_pem` vouches for.
    username, password: ask for this login. flavour: whose texts to speak; `qq` also wants the sender to be the login.
    parse: False keeps only what is cheap (see `read_mail`).

    Faults bound to a recipient answer RCPT. Of the others, `reset_before`, `outage` and codes about the session or the
    sender (421, 501, 503, 530, 535) answer MAIL, and the rest the final dot; `reset_before` with code `dot` drops the
    connection there, with nothing accepted. `status` and `code` both answer `status`, with `code` as text if given;
    `bad_json` answers a line that is no SMTP reply. A 421 closes the connection.

    connections: how many were ever made.
    """

    provider = "smtp"

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        security: Literal["none", "starttls", "tls"] = "none",
        username: str | None = None,
        password: str | None = None,
        flavour: Flavour = "plain",
        pipelining: bool = True,
        parse: bool = True,
    ) -> None:
        super().__init__(outbox)
        self.security = security
        self.username = username
        self.password = password
        self.flavour: Flavour = flavour
        self.pipelining = pipelining
        self.parse = parse
        self.connections = 0
        self.serial = itertools.count(1)
        self._open: dict[asyncio.WriteTransport, _Session] = {}
        self._port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

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
        if self._thread is None:
            raise RuntimeError("start the sandbox first")
        return self._port

    def start(self) -> None:
        # Its information lines hold addresses and commands, and cost time.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        self._port = started.result(10)

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(5)
            self._thread = None

    def drop_connections(self, farewell: bytes = b"") -> None:
        """Close every open connection, as servers do with idle ones; returns when it is done.

        farewell: a line to say before.
        """
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._close_all(farewell), self._loop).result(5)

    def opened(self, connection: asyncio.WriteTransport, session: "_Session") -> None:
        """Count a connection (without its encryption, which may yet fail)."""
        self.connections += 1
        self._open[connection] = session

    def closed(self, connection: asyncio.WriteTransport) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)

    async def _serve(self, started: "Future[int]") -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            tls = server_context(self.identity) if self.security != "none" else None
            server = await self._loop.create_server(lambda: self._protocol(tls), "127.0.0.1", 0)
        except BaseException as error:
            started.set_exception(error)
            raise
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        # A connection that was just accepted takes the loop a few rounds to appear, and asyncio would lose it.
        self._loop.remove_reader(server.sockets[0].fileno())
        for _ in range(10):
            await asyncio.sleep(0)
        server.close()
        await self._close_all()

    def _protocol(self, tls: ssl.SSLContext | None) -> asyncio.BaseProtocol:
        session = _Session(self, tls)
        return TlsDoor(session, tls, session.begun) if tls is not None and self.security == "tls" else session

    async def _close_all(self, farewell: bytes = b"") -> None:
        for connection, session in list(self._open.items()):
            if farewell and isinstance(session.transport, asyncio.WriteTransport):
                session.transport.write(farewell)
                session.transport.close()
            else:
                # A polite end of TLS would wait for the client's part in it.
                connection.abort()
        for _ in range(100):
            if not self._open:
                break
            await asyncio.sleep(0)


class _Session(SMTP):
    """One connection. Where aiosmtpd is slow (address parsing, reading line by line) it is replaced."""

    line_length_limit = _LONGEST_MESSAGE

    def __init__(self, sandbox: SmtpSandbox, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            _Hooks(sandbox),
            data_size_limit=_LONGEST_MESSAGE,
            hostname="localhost",
            ident="mePush sandbox",
            tls_context=tls if sandbox.security == "starttls" else None,
            require_starttls=sandbox.security == "starttls",
            auth_require_tls=sandbox.security == "starttls",
            authenticator=self._check_login,
            loop=asyncio.get_running_loop(),
        )
        self.sandbox = sandbox
        self.fault: Fault | None = None
        self.connection: asyncio.WriteTransport | None = None

    def begun(self, connection: asyncio.WriteTransport) -> None:
        """Note the connection below any encryption."""
        self.connection = connection
        self.sandbox.opened(connection, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Called again after STARTTLS.
        if self.connection is None and isinstance(transport, asyncio.WriteTransport):
            self.begun(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.give_fault_back()
        if self.connection is not None:
            self.sandbox.closed(self.connection)
        if self.session is not None:
            super().connection_lost(error)

    def give_fault_back(self) -> None:
        """Let another message have the fault that was meant for this one's end, which it never reached."""
        fault, self.fault = self.fault, None
        if fault is not None and fault.times != -1:
            self.sandbox.faults.add(replace(fault, times=1))

    def drop(self) -> None:
        """Cut the connection at once. Raises: CancelledError, which ends the session's task."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        raise asyncio.CancelledError

    def close_soon(self) -> None:
        """Close the connection after the reply that is about to be written."""
        if self.transport is not None:
            self.loop.call_soon(self.transport.close)

    async def check_auth_needed(self, caller_method: str) -> bool:
        if self.sandbox.username is None or (self.session is not None and self.session.authenticated):
            return False
        await self.push(_LOGIN_WANTED[self.sandbox.flavour])
        return True

    async def smtp_DATA(self, arg: str | None) -> None:
        if await self.check_auth_needed("DATA"):
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        data = bytearray()
        while not (data.endswith(b"\r\n.\r\n") or data == b".\r\n"):
            data += await self._reader.readuntil(b".\r\n")
        del data[-3:]
        self.envelope.content = (b"\r\n" + bytes(data)).replace(b"\r\n..", b"\r\n.")[2:]
        status = await self._call_handler_hook("DATA")
        self.envelope = Envelope()
        await self.push(status)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = _ANGLE_ADDRESS(arg)
        return (found[1], found[2]) if found else (None, None)

    def _check_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        sandbox = self.sandbox
        if (login.login, login.password) == ((sandbox.username or "").encode(), (sandbox.password or "").encode()):
            return AuthResult(success=True, auth_data=login)
        return AuthResult(success=False, handled=False, message=_LOGIN_REFUSED[sandbox.flavour])


class _Hooks:
    """aiosmtpd's hooks: faults and the outbox."""

    def __init__(self, sandbox: SmtpSandbox) -> None:
        self._sandbox = sandbox

    async def handle_EHLO(
        self, server: _Session, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._sandbox.username is None:
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        if self._sandbox.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_MAIL(
        self, server: _Session, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        sandbox = self._sandbox
        if sandbox.flavour == "qq" and sandbox.username is not None and address != sandbox.username:
            return "501 mail from address must be same as authorization user"
        fault = sandbox.faults.take()
        if fault is not None:
            if fault.kind == "outage":
                server.close_soon()
                return f"421 {_TEXTS[421]}"
            if fault.kind == "reset_before" and fault.code != "dot":
                server.drop()
            if fault.kind in {"status", "code"} and fault.status in _ANSWER_MAIL:
                return _refusal(server, fault)
        server.fault = fault
        envelope.mail_from = address
        return "250 OK"

    async def handle_RSET(self, server: _Session, session: Session, envelope: Envelope) -> str:
        server.give_fault_back()
        return "250 OK"

    async def handle_RCPT(
        self, server: _Session, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._sandbox.faults.take(address)
        if fault is not None:
            if fault.kind in {"reset_before", "reset_after"}:
                server.drop()
            if fault.kind == "throttle":
                return _THROTTLED[self._sandbox.flavour]
            if fault.kind == "bad_json":
                return "this is no SMTP reply"
            if fault.kind in {"status", "code"}:
                return _refusal(server, fault)
            await asyncio.sleep(fault.seconds)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: _Session, session: Session, envelope: Envelope) -> str:
        fault, server.fault = server.fault, None
        if fault is not None:
            if fault.kind == "reset_before":
                server.drop()
            if fault.kind == "throttle":
                return _THROTTLED[self._sandbox.flavour]
            if fault.kind == "bad_json":
                return "this is no SMTP reply"
            if fault.kind in {"status", "code"}:
                return _refusal(server, fault)
            await asyncio.sleep(fault.seconds)
        status = self._accept(envelope)
        if fault is not None and fault.kind == "reset_after":
            server.drop()
        return status

    def _accept(self, envelope: Envelope) -> str:
        sandbox = self._sandbox
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        mail = read_mail(content, whole=sandbox.parse)
        number = next(sandbox.serial)
        # QQ Mail tells no queue id.
        queue_id, status = {
            "plain": (f"{number:012X}", f"250 2.0.0 Ok: queued as {number:012X}"),
            "ses": (f"0102{number:028x}-000000", f"250 Ok 0102{number:028x}-000000"),
            "qq": (str(mail["message_id_header"]), "250 OK: queued as."),
        }[sandbox.flavour]
        for address in envelope.rcpt_tos:
            sandbox.outbox.put(Delivery(sandbox.provider, address, queue_id, {"sender": envelope.mail_from, **mail}))
        return status


def _refusal(server: _Session, fault: Fault) -> str:
    if fault.status == 421:
        server.close_soon()
    return f"{fault.status} {fault.code or _TEXTS.get(fault.status, 'refused')}"


def main() -> None:
    """Run the sink."""
    parser = argparse.ArgumentParser(description="A bare SMTP sink on loopback for benchmarks.")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--plain", action="store_true", required=True, help="no encryption, no login, no outbox")
    asyncio.run(run_sink(parser.parse_args().port))


if __name__ == "__main__":
    main()
