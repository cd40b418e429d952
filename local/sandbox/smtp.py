"""A double of an SMTP server, with an outbox and scripted faults."""

import asyncio
import itertools
import logging
import socket
import ssl
import threading
from concurrent.futures import Future
from functools import cached_property
from typing import ClassVar, Literal

from local.sandbox.base import HOST, Fault, Outbox, Sandbox
from local.sandbox.imap import MailFolder
from local.sandbox.returned import returned
from local.sandbox.smtp_session import SmtpSession
from local.sandbox.smtp_words import Flavour, step_of
from local.sandbox.tls import Identity, TlsDoor, make_identity, server_context
from shared.model.clock import Clock


class SmtpSandbox(Sandbox):
    """An SMTP server on loopback.

    security: `none`, `starttls` or `tls`, with a certificate for localhost and 127.0.0.1 that `ca_pem` vouches for.
    username, password: ask for this login. flavour: whose texts to speak; `qq` also wants the sender to be the login.
    pipelining, chunking: whether to offer these extensions. parse: False keeps only what is cheap (see `read_mail`).

    Faults play at the step that they name: `connect` (in place of the greeting), `login` (codes only), `mail`, `rcpt`,
    `data` (which BDAT has not), `body` (while the message is on its way: `reset_before` only) or `dot`, the end of the
    message. Otherwise those for a
    recipient play at `rcpt`, `reset_before` and codes about the session or the sender (421, 501, 503, 530, 535) at
    `mail`, and the rest at `dot`. `status` and `code` both answer `status`, with `code` as text if given, in as many
    lines; `bad_json` answers a line that is no SMTP reply. A 421 closes the connection.

    connections: how many were ever made. returns_to: the folder that mails come back to, by the addresses of
    `local.sandbox.returned`; None where nobody reads them.
    """

    provider = "smtp"
    steps = ("connect", "login", "mail", "rcpt", "data", "body", "dot")
    mixture: ClassVar = (
        Fault("reset_before", at="rcpt"),
        Fault("reset_before", at="dot"),
        Fault("reset_after"),
        Fault("status", status=421, at="rcpt"),
        Fault("status", status=421, at="dot"),
        Fault("status", status=450, at="rcpt"),
        Fault("status", status=451),
        Fault("throttle"),
        Fault("bad_json"),
    )

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        security: Literal["none", "starttls", "tls"] = "none",
        username: str | None = None,
        password: str | None = None,
        flavour: Flavour = "plain",
        pipelining: bool = True,
        chunking: bool = True,
        parse: bool = True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(outbox, clock)
        self.security = security
        self.username = username
        self.password = password
        self.flavour: Flavour = flavour
        self.pipelining = pipelining
        self.chunking = chunking
        self.parse = parse
        self.connections = 0
        self.returns_to: MailFolder | None = None
        self.serial = itertools.count(1)
        self._open: dict[asyncio.WriteTransport, SmtpSession] = {}
        self._port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None

    @cached_property
    def identity(self) -> Identity:
        """The server's certificate and key."""
        return make_identity()

    @property
    def ca_pem(self) -> str:
        """The certificate of the authority that vouches for the server."""
        return self.identity.ca_pem

    def plays_at(self, fault: Fault, at: str) -> bool:
        return at == step_of(fault)

    @property
    def port(self) -> int:
        if not self._port:
            raise RuntimeError("start the sandbox first")
        return self._port

    @property
    def is_open(self) -> bool:
        return self._thread is not None

    def open(self, port: int) -> None:
        # Its information lines hold addresses and commands, and cost time.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port, started)), daemon=True)
        self._thread.start()
        self._port = started.result(10)

    def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._closing is not None:
            self._loop.call_soon_threadsafe(self._closing.set)
            thread.join(5)

    def drop_connections(self, farewell: bytes = b"") -> None:
        """Close every open connection, as servers do with idle ones; returns when it is done.

        farewell: a line to say before.
        """
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._close_all(farewell), self._loop).result(5)

    def give_back(self, content: bytes, to: str) -> None:
        """Put into the folder what comes back of a mail, if anything does."""
        mail = returned(content, to) if self.returns_to is not None else None
        if mail is not None and self.returns_to is not None:
            self.returns_to.put(mail)

    def opened(self, connection: asyncio.WriteTransport, session: "SmtpSession") -> None:
        """Count a connection (without its encryption, which may yet fail)."""
        self.connections += 1
        self._open[connection] = session

    def closed(self, connection: asyncio.WriteTransport) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)

    async def _serve(self, port: int, started: "Future[int]") -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._closing = asyncio.Event()
            tls = server_context(self.identity) if self.security != "none" else None
            server = await self._loop.create_server(
                lambda: self._protocol(tls), HOST, port, reuse_port=hasattr(socket, "SO_REUSEPORT")
            )
        except BaseException as error:  # whatever it is, the one that waits for the start gets it
            started.set_exception(error)
            raise
        started.set_result(server.sockets[0].getsockname()[1])
        await self._closing.wait()
        # A connection that was just accepted takes the loop a few rounds to appear, and asyncio would lose it.
        self._loop.remove_reader(server.sockets[0].fileno())
        for _ in range(10):
            await asyncio.sleep(0)
        server.close()
        await self._close_all()

    def _protocol(self, tls: ssl.SSLContext | None) -> asyncio.BaseProtocol:
        session = SmtpSession(self, tls)
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
