"""Email through any SMTP server: QQ Mail, a company's relay, Amazon SES's SMTP interface."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from shared.model.accounts import ProviderSecret, ProviderSettings
from shared.model.content import RenderedEmail
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.net.hosts import is_loopback, read_host
from shared.net.tasks import Loop, Task
from shared.net.tls import check_ca_pem, client_context
from shared.providers.base import Outgoing, Provider, Tools, Verification
from shared.providers.email.mime import Assembler, Mailbox, SenderName, mailbox_problem
from shared.providers.email.quoted import Own
from shared.providers.email.smtp.client import Connection, MisfitError, Pool, RefusedError, Security, dial
from shared.providers.email.smtp.courier import Courier
from shared.providers.email.smtp.letters import Answered, Broken, Doubted, Failed, Fate, Unbegun, Unreached, letters_of
from shared.providers.email.smtp.mailbox_settings import BounceMailbox
from shared.providers.email.smtp.mailboxes import login_problem, sender_problem
from shared.providers.email.smtp.replies import Entry, outcome_of, raw_code, read
from shared.providers.email.smtp.stream import Reply, Step
from shared.providers.reaching import explained, outcome_of_reaching

if TYPE_CHECKING:
    from shared.policy.landing.findings import Sender

_T = TypeVar("_T")

GROUP = 34
"""Messages handed over together: what is in flight at once (`WAVE_RECIPIENTS` of the dispatcher)."""
MAILBOX_S = 8.0
"""How long trying the bounce mailbox may take."""
_CARRY_S = 25.0
"""How long a message may take, and wait for its turn before; it is begun only while there is `timeout_s` left."""


class Settings(ProviderSettings):
    """An SMTP account."""

    keep_secret: ClassVar[frozenset[str]] = frozenset(
        {
            "from_address",
            "from_name",
            "reply_to",
            "helo",
            "connect_timeout_s",
            "timeout_s",
            "max_messages_per_connection",
            "max_connections",
            "chunking",
        }
    )

    provider: Literal["smtp"]
    host: str
    port: int = Field(ge=1, le=65535)
    security: Security = "starttls"
    """`starttls` (usually port 587), `tls` (465) or, on this machine only, `none`."""
    username: str | None = Field(default=None, min_length=1, max_length=320, validate_default=True)
    """Log in with it; None for a server that wants no login."""
    from_address: Mailbox
    from_name: SenderName | None = None
    reply_to: Mailbox | None = None
    ca_pem: str | None = Field(default=None, max_length=20_000)
    """Trust this certificate authority instead of the public ones."""
    helo: str | None = Field(default=None, pattern=r"^[A-Za-z0-9\[][A-Za-z0-9.:\]-]{0,252}$")
    """The name to greet with; the sender's domain if None."""
    connect_timeout_s: float = Field(default=7, gt=0, le=10)
    """For the connection, encryption and login together."""
    timeout_s: float = Field(default=12, gt=0, le=15)
    """For the server's reply to one message."""
    max_messages_per_connection: int = Field(default=100, ge=1, le=10_000)
    max_connections: int = Field(default=8, ge=1, le=32)
    """That one function keeps open to the server at the same time; as many functions as are at work do so."""
    bounce_mailbox: BounceMailbox | None = None
    """Where bounces come to, which are read from there; None to read none. For QQ Mail it is the mailbox itself:
    `imap.qq.com`."""
    chunking: bool = True
    """Whether to send by BDAT where the server offers CHUNKING; False for one that offers it and cannot do it."""

    @field_validator("host")
    @classmethod
    def _named(cls, host: str) -> str:
        return read_host(host)

    @field_validator("ca_pem")
    @classmethod
    def _readable(cls, pem: str | None) -> str | None:
        return None if pem is None else check_ca_pem(pem)

    @field_validator("username")
    @classmethod
    def _wanted(cls, username: str | None, info: ValidationInfo) -> str | None:
        return _or_problem(username, login_problem(info.data.get("host", ""), username))

    @field_validator("from_address")
    @classmethod
    def _sendable(cls, sender: str, info: ValidationInfo) -> str:
        return _or_problem(sender, sender_problem(info.data.get("host", ""), info.data.get("username"), sender))

    @model_validator(mode="after")
    def _encrypted(self) -> "Settings":
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError("choose starttls or tls: unencrypted SMTP is for this machine only")
        return self

    @model_validator(mode="after")
    def _a_login_for_the_mailbox(self) -> "Settings":
        if self.bounce_mailbox is not None and self.bounce_mailbox.username is None and self.username is None:
            raise ValueError("give bounce_mailbox.username: the account has no username to log in with")
        return self

    @classmethod
    def secret_fields(cls, settings: Mapping[str, Any], fields: Collection[str]) -> list[str]:
        return [name for name in fields if name != "mailbox_password" or settings.get("bounce_mailbox")]

    def missing_secret(self, given: Collection[str]) -> tuple[str, str] | None:
        if self.username is not None and "password" not in given:
            return "password", "is needed to log in with a username; give it, or leave `username` out of the settings"
        if self.bounce_mailbox is not None and not {"password", "mailbox_password"} & {*given}:
            return "mailbox_password", "is needed to read the bounce mailbox; give it, or leave `bounce_mailbox` out"
        return None

    def server(self) -> tuple[str, str, int]:
        return "host", self.host, self.port

    def servers(self) -> list[tuple[str, str, int]]:
        mailbox = self.bounce_mailbox
        return [self.server()] + ([] if mailbox is None else [("bounce_mailbox.host", mailbox.host, mailbox.port)])


class Secret(ProviderSecret):
    """The password, or what the provider calls it: QQ Mail's authorization code, an SES SMTP password."""

    password: SecretStr | None = None
    mailbox_password: SecretStr | None = None
    """Of the bounce mailbox; without one it is the same."""

    @field_validator("password", "mailbox_password")
    @classmethod
    def _one_line(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().isprintable():
            raise ValueError("give it without line breaks and control characters")
        return value


def _or_problem(value: _T, problem: str | None) -> _T:
    if problem is not None:
        raise ValueError(problem)
    return value


# Amazon SES answers `Ok <id>`, Postfix `2.0.0 Ok: queued as <id>`; others say less or nothing.
_QUEUED = re.compile(
    r"(?:^(?:2\.\d\.\d )?ok (?=[^ ]*[0-9])|queued as )<?([A-Za-z0-9._=+-]{8,100})>?\s*$", re.IGNORECASE
)

_MISFITS: dict[str, Reason] = {
    "starttls_not_offered": Reason.ACCOUNT_MISCONFIGURED,
    "auth_not_offered": Reason.ACCOUNT_MISCONFIGURED,
    "password_missing": Reason.CREDENTIALS_REFUSED,
}


def _email(message: Outgoing) -> RenderedEmail:
    if not isinstance(message.content, RenderedEmail):
        raise TypeError("an email provider takes emails")
    return message.content


def _has_files(message: Outgoing) -> bool:
    return bool(_email(message).attachments)


def _never_leaves(message: Outgoing) -> Outcome | None:
    """What is wrong with an address that cannot stand in an SMTP command."""
    problem = mailbox_problem(message.to)
    return None if problem is None else Rejected(Reason.ADDRESS_INVALID, problem)


def outcome_of_failure(error: Exception, own: Own) -> Outcome:
    """What it means that no session could be opened: nothing was sent. own: what a server may quote."""
    if isinstance(error, RefusedError):
        return outcome_of(error.reply, own)
    if isinstance(error, MisfitError):
        return AccountDown(_MISFITS[error.what], error.what)
    return outcome_of_reaching(error) or Retry(Reason.CONNECTION_FAILED, _failure_code(error))


def _failure_code(error: Exception) -> str:
    for kind, code in (
        (TimeoutError, "timed_out"),
        (ssl.SSLError, "tls_failed"),
        (socket.gaierror, "host_not_found"),
        (ConnectionRefusedError, "connection_refused"),
    ):
        if isinstance(error, kind):
            return code
    return "connection_lost"


class SmtpProvider(Provider):
    """An SMTP account with its kept connections."""

    threads: ClassVar[int] = 8
    # A message waits at most for its turn and then for its reply (`_CARRY_S`), and 3 s for a slow name server, which
    # has no time-out of ours.
    worst_case_seconds: ClassVar[float] = 28.0

    def __init__(self, settings: Settings, secret: Secret, tools: Tools) -> None:
        self._settings = settings
        self._secret = secret
        self._helo = settings.helo or settings.from_address.rpartition("@")[2]
        self._clock = tools.clock
        self._network = tools.network
        self._assembler = Assembler(settings.from_address, settings.from_name, settings.reply_to)
        self._pool = Pool(tools.clock, settings.max_messages_per_connection)
        self._courier = Courier(
            self._dial,
            self._pool,
            settings.from_address,
            settings.timeout_s,
            settings.max_messages_per_connection,
            settings.max_connections,
            settings.chunking,
        )
        self._tls: ssl.SSLContext | None = None
        self._tls_lock = threading.Lock()

    def group(self, messages: Sequence[Outgoing]) -> list[list[Outgoing]]:
        # Files are held once more for each message on its way, so those go one by one.
        heavy = [message for message in messages if _has_files(message)]
        light = [message for message in messages if not _has_files(message)]
        return [*([message] for message in heavy), *(light[i : i + GROUP] for i in range(0, len(light), GROUP))]

    def send(self, group: Sequence[Outgoing]) -> list[Outcome | None]:
        now = time.monotonic()
        outcomes: list[Outcome | None] = [_never_leaves(message) for message in group]
        going = [(at, message) for at, message in enumerate(group) if outcomes[at] is None]
        made = [(message.to, partial(self._wire, message)) for _, message in going]
        letters = letters_of(made, now + _CARRY_S - self._settings.timeout_s, now + _CARRY_S)
        for (at, message), fate in zip(going, self._courier.carry(letters) if letters else (), strict=True):
            outcomes[at] = self._outcome(message, fate)
        return outcomes

    def sender(self) -> "Sender":
        from shared.providers.email.smtp import landing

        return landing.sender(self._settings.host)

    def verify(self) -> Verification:
        settings = self._settings
        try:
            with Loop() as loop:
                reply = loop.run(self._try())
        except (RefusedError, MisfitError, OSError) as error:
            return self._explain(error)
        if reply.code != 250:
            return self._explain(RefusedError(reply))
        summary = f"{settings.host} accepted the login and the sender {settings.from_address}."
        return self._with_mailbox(Verification(True, summary))

    def close(self) -> None:
        self._pool.clear()

    def _with_mailbox(self, good: Verification) -> Verification:
        """Try the bounce mailbox of an account that can send; it can do so without."""
        if self._settings.bounce_mailbox is None:
            return good
        # Who sends has no use for it.
        from shared.providers.email.smtp.mailbox_visit import try_out

        secret = {name: value and value.get_secret_value() for name, value in self._secret}
        problem = try_out(self._settings.model_dump(), secret, self._network, MAILBOX_S)
        if problem is None:
            return Verification(True, f"{good.summary} Its bounce mailbox can be read.")
        summary = f"{good.summary} Its bounce mailbox cannot be read: {problem.summary}"
        return Verification(True, summary, problem.action, problem.code)

    def _wire(self, message: Outgoing) -> bytes:
        return self._assembler.assemble(message.message_id, message.to, _email(message), self._clock.now_ms())

    def _outcome(self, message: Outgoing, fate: Fate) -> Outcome | None:
        """What became of a message; None if it was not begun. Its words are those of `replies`."""
        match fate:
            case Answered(reply):
                return self._outcome_of_reply(message, reply)
            case Unreached(error):
                return outcome_of_failure(error, self._own(message.to))
            case Broken(error, left):
                late = isinstance(error, TimeoutError)
                if left:
                    return Unknown(Reason.TIMED_OUT if late else Reason.CONNECTION_LOST, _failure_code(error))
                return Retry(Reason.TIMED_OUT if late else Reason.CONNECTION_FAILED, _failure_code(error))
            case Doubted():
                return Unknown(Reason.UNRECOGNISED_ANSWER, "out_of_step")
            case Failed(mistake):
                return Unknown(Reason.PROVIDER_ERROR, type(mistake).__name__)
            case Unbegun():
                return None

    def _outcome_of_reply(self, message: Outgoing, reply: Reply) -> Outcome:
        whole = reply.step is Step.DOT
        if whole and 200 <= reply.code < 300:
            queued = _QUEUED.search(reply.text)
            return Sent(queued[1] if queued else self._assembler.message_id(message.message_id))
        # The server has seen the content only if it was given that.
        return outcome_of(reply, self._own(message.to, _email(message) if whole else None))

    def _own(self, recipient: str = "", content: RenderedEmail | None = None) -> Own:
        """What the server may quote of a message. content: if it has seen that."""
        settings = self._settings
        words = () if content is None else (content.subject, settings.from_name or "")
        return Own(settings.from_address, recipient, (settings.host, self._helo), words)

    def _dial(self) -> Task[Connection]:
        """Open a session and log in. Raises: RefusedError, MisfitError, OSError."""
        settings, password = self._settings, self._secret.password
        deadline = time.monotonic() + settings.connect_timeout_s
        spots = self._network.resolve(settings.host, settings.port)
        connection = yield from dial(spots, self._clock.now_ms(), deadline)
        try:
            yield from connection.greet(self._helo, settings.host, settings.security, self._tls_context())
            if settings.username is not None:
                if password is None:
                    raise MisfitError("password_missing")
                yield from connection.authenticate(settings.username, password.get_secret_value())
        except BaseException:  # whatever ends it, nobody else closes it
            connection.close()
            raise
        return connection

    def _try(self) -> Task[Reply]:
        """Log in and try the sender. Raises: as `_dial`."""
        connection = yield from self._dial()
        try:
            connection.stream.deadline = time.monotonic() + self._settings.timeout_s
            reply = yield from connection.probe(self._settings.from_address)
            connection.leave()
        finally:
            connection.close()
        return reply

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._settings.security == "none":
            return None
        with self._tls_lock:
            if self._tls is None:
                self._tls = client_context(self._settings.ca_pem)
            return self._tls

    def _explain(self, error: Exception) -> Verification:
        """Say in plain words why the account cannot send."""
        settings = self._settings
        if isinstance(error, RefusedError):
            return _explain_reply(settings, error.reply, self._own())
        outcome = outcome_of_failure(error, self._own())
        if isinstance(outcome, Sent):
            raise TypeError("a failure cannot be a success")
        known = explained(outcome.raw_code, own_ca=True)
        if known is not None:
            return known
        summary, action = _FAILURE_WORDS[outcome.raw_code]
        return Verification(False, summary.format(host=settings.host, port=settings.port), action, outcome.raw_code)


def _explain_reply(settings: Settings, reply: Reply, own: Own) -> Verification:
    """Say in plain words what a refusal means for the account."""
    found, code, host = read(reply, own), raw_code(reply), settings.host
    if found.reason is Reason.CREDENTIALS_REFUSED:
        return Verification(False, f"{host} refused the login.", _login_advice(host, reply.text, found), code)
    if found.reason is Reason.SENDER_REFUSED:
        summary = f"{host} does not let this login send as {settings.from_address}."
        usual = "Use the login's own address as sender, or verify the sender with the provider."
        return Verification(False, summary, usual if found.do is None else found.do[0], code)
    summary, action = found.words()
    return Verification(False, f"{host} answered {code}. {summary}", action, code)


def _login_advice(host: str, text: str, found: Entry) -> str:
    if host == "qq.com" or host.endswith(".qq.com") or "authorization code" in text.lower():
        return "QQ Mail wants the 16-character authorization code made in its web settings, not the account's password."
    if host.endswith(".amazonaws.com"):
        return "Use SMTP credentials made in the SES console; AWS access keys do not work here."
    if found.do is not None:
        return found.do[0]
    return "Check the username and the password; some providers want a password made for apps."


_FAILURE_WORDS: dict[str, tuple[str, str]] = {
    "timed_out": (
        "{host}:{port} did not answer in time.",
        "Check host and port, that port 465 goes with tls, and that the network lets connections out on this port.",
    ),
    "tls_failed": (
        "{host}:{port} did not begin encryption as expected.",
        "Choose tls for port 465 and starttls for port 587.",
    ),
    "host_not_found": ("The host {host} was not found.", "Check the spelling of the host."),
    "connection_refused": ("Nothing listens on {host}:{port}.", "Check host and port."),
    "connection_lost": (
        "{host}:{port} closed the connection or could not be reached.",
        "Check host and port, and whether the provider allows connections from this network.",
    ),
    "starttls_not_offered": (
        "{host}:{port} does not offer STARTTLS.",
        "Choose tls, usually on port 465, or a port that offers STARTTLS, usually 587.",
    ),
    "auth_not_offered": (
        "{host}:{port} offers no login by password.",
        "Use the port for submission (587 or 465), or leave the username empty if the server wants no login.",
    ),
    "password_missing": ("The account has a username but no password.", "Set the account's password."),
}


def build(settings: Settings, secret: Secret, tools: Tools) -> SmtpProvider:
    """Make the provider; connections are opened on first use."""
    return SmtpProvider(settings, secret, tools)
