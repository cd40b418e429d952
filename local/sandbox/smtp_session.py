"""A connection to the double of an SMTP server: what it says, and where faults play."""

import asyncio
import re
import ssl
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from local.sandbox.base import Delivery, Fault
from local.sandbox.mail import read_mail
from local.sandbox.smtp_words import LOGIN_REFUSED, LOGIN_WANTED, TEXTS, THROTTLED, lines_of, step_of

if TYPE_CHECKING:
    from local.sandbox.smtp import SmtpSandbox

_ANGLE_ADDRESS = re.compile(r"\s*<([^<>\s]+)>\s*(.*)\Z").match
_ONE_CHUNK = re.compile(r"\s*([0-9]{1,8})\s+LAST\s*\Z", re.IGNORECASE).match
_LONGEST_MESSAGE = 32 * 1024 * 1024


class SmtpSession(SMTP):
    """One connection. Where aiosmtpd is slow (address parsing, reading line by line) it is replaced."""

    line_length_limit = _LONGEST_MESSAGE

    def __init__(self, sandbox: "SmtpSandbox", tls: ssl.SSLContext | None) -> None:
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
        self.later: Fault | None = None
        self.slow = 0.0
        self.closing = False
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
        if self.connection is not None:
            self.sandbox.closed(self.connection)
        if self.session is not None:
            super().connection_lost(error)

    def drop(self) -> None:
        """Cut the connection at once. Raises: CancelledError, which ends the session's task."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        raise asyncio.CancelledError

    async def play(self, fault: Fault | None) -> str | None:
        """The reply that a fault gives in place of ours; None to go on. Raises: CancelledError when it cuts."""
        if fault is None:
            return None
        match fault.kind:
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "trickle":
                self.slow = fault.seconds
            case "reset_before" | "reset_after":
                self.drop()
            case "throttle":
                return THROTTLED[self.sandbox.flavour]
            case "bad_json":
                return "this is no SMTP reply"
            case "outage":
                self.close_soon()
                return f"421 {TEXTS[421]}"
            case "status" | "code":
                if fault.status == 421:
                    self.close_soon()
                return lines_of(fault.status, fault.code or TEXTS.get(fault.status, "refused"))
        return None

    def close_soon(self) -> None:
        """Close the connection with the next reply, and do nothing of what was said besides (RFC 5321 section 3.8)."""
        self.closing = True

    async def push(self, status: Any) -> None:
        """Write a reply. Raises: CancelledError, which ends the session's task, if it is the last one."""
        await super().push(status)
        if self.closing:
            if self.transport is not None:
                self.transport.close()
            raise asyncio.CancelledError

    async def _handle_client(self) -> None:
        if self.sandbox.faults.outage("outage_dropped"):
            self.drop()
        reply = await self.play(self.sandbox.faults.take(at="connect"))
        if reply is None:
            await super()._handle_client()
            return
        await self.push(reply)
        if self.transport is not None:
            self.transport.close()

    async def check_auth_needed(self, caller_method: str) -> bool:
        if self.sandbox.username is None or (self.session is not None and self.session.authenticated):
            return False
        await self.push(LOGIN_WANTED[self.sandbox.flavour])
        return True

    async def smtp_DATA(self, arg: str | None) -> None:
        if await self.check_auth_needed("DATA"):
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        refusal = await self.play(self.sandbox.faults.take(*self.envelope.rcpt_tos, at="data"))
        await self.push(refusal or "354 End data with <CR><LF>.<CR><LF>")
        if refusal is not None:
            return
        await self.play(self.sandbox.faults.take(*self.envelope.rcpt_tos, at="body", part=True))
        data = bytearray()
        while not (data.endswith(b"\r\n.\r\n") or data == b".\r\n"):
            data += await self._reader.readuntil(b".\r\n")
        del data[-3:]
        await self._take((b"\r\n" + bytes(data)).replace(b"\r\n..", b"\r\n.")[2:])

    async def smtp_BDAT(self, arg: str | None) -> None:
        """Take a message that comes as one chunk (RFC 3030)."""
        found = _ONE_CHUNK(arg or "")
        if found is None:
            await self.push("501 Syntax: BDAT <octets> LAST")
            return
        part = self.envelope is not None and self.sandbox.faults.take(*self.envelope.rcpt_tos, at="body", part=True)
        if part:
            await self._reader.readexactly(int(found[1]) // 2)
            await self.play(part)
        # It is read even when it is refused, for the next command stands behind it.
        content = await self._reader.readexactly(int(found[1]))
        if await self.check_auth_needed("BDAT"):
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        await self._take(content)

    async def _take(self, content: bytes) -> None:
        """Take a whole message, and answer."""
        if self.envelope is not None:
            self.envelope.content = content
        status = await self._call_handler_hook("DATA")
        self.envelope = Envelope()
        seconds, self.slow = self.slow, 0.0
        if seconds:
            status = await self._trickle(status, seconds)
        await self.push(status)

    async def _trickle(self, reply: str, seconds: float) -> str:
        """Write a reply letter by letter, but for the last, which is returned."""
        for letter in reply[:-1]:
            self._writer.write(letter.encode())
            await self._writer.drain()
            await asyncio.sleep(seconds / len(reply))
        return reply[-1:]

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        found = _ANGLE_ADDRESS(arg)
        return (found[1], found[2]) if found else (None, None)

    def _check_login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        sandbox = self.sandbox
        fault = sandbox.faults.take(at="login")
        if fault is not None:
            return AuthResult(success=False, handled=False, message=lines_of(fault.status, fault.code or "refused"))
        if (login.login, login.password) == ((sandbox.username or "").encode(), (sandbox.password or "").encode()):
            return AuthResult(success=True, auth_data=login)
        return AuthResult(success=False, handled=False, message=LOGIN_REFUSED[sandbox.flavour])


class _Hooks:
    """aiosmtpd's hooks: faults and the outbox."""

    def __init__(self, sandbox: "SmtpSandbox") -> None:
        self._sandbox = sandbox

    async def handle_EHLO(
        self, server: SmtpSession, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._sandbox.username is None:
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        if self._sandbox.pipelining:
            responses.insert(1, "250-PIPELINING")
        if self._sandbox.chunking:
            responses.insert(1, "250-CHUNKING")
        return responses

    async def handle_MAIL(
        self, server: SmtpSession, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        sandbox = self._sandbox
        if sandbox.flavour == "qq" and sandbox.username is not None and address != sandbox.username:
            return "501 mail from address must be same as authorization user"
        server.later = None
        if sandbox.faults.outage("outage_dropped"):
            server.drop()
        reply = await server.play(sandbox.faults.take(at="mail"))
        if reply is not None:
            return reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SmtpSession, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self._sandbox.faults.take(address, at="rcpt")
        if fault is not None and step_of(fault) == "dot":
            # Out of a mixture: it is drawn where the recipient is known.
            server.later = fault
            fault = None
        reply = await server.play(fault)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SmtpSession, session: Session, envelope: Envelope) -> str:
        fault, server.later = server.later, None
        fault = fault or self._sandbox.faults.take(*envelope.rcpt_tos, at="dot")
        accepted = fault is not None and (fault.accepted or fault.kind == "reset_after")
        status = self._accept(envelope) if accepted else ""
        reply = await server.play(fault)
        return reply or status or self._accept(envelope)

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
            data = {"sender": envelope.mail_from, **mail}
            ours = str(mail["message_id"])
            sandbox.outbox.put(Delivery(sandbox.provider, address, queue_id, data, message_id=ours))
            sandbox.give_back(content, address)
        return status
