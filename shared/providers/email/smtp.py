"""Email through any SMTP server: QQ Mail, a company's relay, Amazon SES's SMTP interface."""

import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.model.accounts import ProviderSecret, ProviderSettings, is_loopback
from shared.model.content import RenderedEmail
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import EXPLANATIONS, Reason
from shared.providers.base import Outgoing, Provider, Tools, Verification
from shared.providers.email.mime import Assembler, Mailbox, SenderName, mailbox_problem
from shared.providers.email.smtp_client import Connection, MisfitError, Pool, RefusedError, Reply, Security, Step

logger = logging.getLogger(__name__)


class Settings(ProviderSettings):
    """An SMTP account.

    security: `starttls` (usually port 587), `tls` (465) or, on this machine only, `none`. username: log in with it;
    None for a server that wants no login. ca_pem: trust this certificate authority instead of the public ones.
    helo: the name to greet with; the sender's domain if None. connect_timeout_s: for the connection, encryption and
    login together. timeout_s: for one message.
    """

    keep_secret: ClassVar[frozenset[str]] = frozenset(
        {
            "from_address",
            "from_name",
            "reply_to",
            "helo",
            "connect_timeout_s",
            "timeout_s",
            "max_messages_per_connection",
        }
    )

    provider: Literal["smtp"]
    host: str = Field(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$")
    port: int = Field(ge=1, le=65535)
    security: Security = "starttls"
    username: str | None = Field(default=None, min_length=1, max_length=320)
    from_address: Mailbox
    from_name: SenderName | None = None
    reply_to: Mailbox | None = None
    ca_pem: str | None = Field(default=None, max_length=20_000)
    helo: str | None = Field(default=None, pattern=r"^[A-Za-z0-9\[][A-Za-z0-9.:\]-]{0,252}$")
    connect_timeout_s: float = Field(default=7, gt=0, le=10)
    timeout_s: float = Field(default=12, gt=0, le=15)
    max_messages_per_connection: int = Field(default=100, ge=1, le=10_000)

    @field_validator("ca_pem")
    @classmethod
    def _readable(cls, pem: str | None) -> str | None:
        if pem is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
            except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: not in ASCII
                raise ValueError("give certificates in PEM form") from error
        return pem

    @model_validator(mode="after")
    def _encrypted(self) -> "Settings":
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError("choose starttls or tls: unencrypted SMTP is for this machine only")
        return self

    def missing_secret(self, given: Collection[str]) -> tuple[str, str] | None:
        if self.username is None or "password" in given:
            return None
        return "password", "is needed to log in with a username; give it, or leave `username` out of the settings"


class Secret(ProviderSecret):
    """The password, or what the provider calls it: QQ Mail's authorization code, an SES SMTP password."""

    password: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a reply means. code: matched at the start of `<code>` or `<code> <enhanced code>`; text: searched for."""

    outcome: type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown]
    reason: Reason
    code: re.Pattern[str]
    text: re.Pattern[str] | None
    steps: frozenset[Step]


def _rule(
    outcome: type[Rejected] | type[Retry] | type[Unknown] | type[AccountDown],
    reason: Reason,
    code: str,
    text: str | None = None,
    steps: Sequence[Step] = tuple(Step),
) -> _Rule:
    found = re.compile(text, re.IGNORECASE) if text is not None else None
    return _Rule(outcome, reason, re.compile(rf"(?:{code})(?![0-9])"), found, frozenset(steps))


_SESSION = (Step.GREETING, Step.TLS)
_MESSAGE = (Step.DATA, Step.DOT)

# The first rule that fits counts. Texts: QQ Mail's limits are 550 and yet pass by themselves (its help, "退信");
# Amazon SES Developer Guide, "SMTP response codes". Codes: RFC 5321 section 4.2.3, RFC 3463, RFC 7505.
REPLIES: tuple[_Rule, ...] = (
    _rule(Retry, Reason.QUOTA_EXHAUSTED, r"[45]\d\d", r"daily (message|sending) quota"),
    _rule(
        Retry,
        Reason.THROTTLED,
        r"[45]\d\d",
        r"throttl|maximum sending rate|frequency limit|rate limit|mailbox unavailable or access denied"
        r"|too many (concurrent|connections|messages|e?mails)",
    ),
    _rule(Retry, Reason.PROVIDER_BUSY, r"421"),
    # of the account
    _rule(AccountDown, Reason.ACCOUNT_MISCONFIGURED, r"5\d\d", r"starttls|encryption (is )?required"),
    _rule(AccountDown, Reason.SENDER_REFUSED, r"5\d\d", r"must be (the )?same as authorization user"),
    _rule(AccountDown, Reason.CREDENTIALS_REFUSED, r"53[0458]|5\d\d 5\.7\.[89]"),
    _rule(AccountDown, Reason.CREDENTIALS_REFUSED, r"503", r"\bauth"),
    _rule(AccountDown, Reason.CREDENTIALS_REFUSED, r"503", None, (Step.MAIL,)),
    _rule(AccountDown, Reason.CREDENTIALS_REFUSED, r"5\d\d", None, (Step.LOGIN,)),
    _rule(AccountDown, Reason.CREDENTIALS_REFUSED, r"554", r"^(5\.7\.1 )?access denied", _MESSAGE),
    _rule(AccountDown, Reason.SENDER_REFUSED, r"5\d\d 5\.1\.[78]"),
    _rule(AccountDown, Reason.ACCOUNT_MISCONFIGURED, r"500|502|504|555", None, (Step.MAIL,)),
    _rule(AccountDown, Reason.SENDER_REFUSED, r"5\d\d", None, (Step.MAIL,)),
    _rule(Retry, Reason.CONNECTION_FAILED, r"[45]\d\d", None, _SESSION),
    # of the recipient or the content, by enhanced code
    _rule(Retry, Reason.MAILBOX_FULL, r"[45]\d\d [45]\.2\.2"),
    _rule(Retry, Reason.PROVIDER_BUSY, r"5\d\d 4\.\d+\.\d+"),
    _rule(Rejected, Reason.ADDRESS_UNKNOWN, r"5\d\d 5\.(1\.(1|2|6|10)|2\.1)"),
    _rule(Rejected, Reason.ADDRESS_INVALID, r"5\d\d 5\.1\.3"),
    _rule(Rejected, Reason.CONTENT_TOO_LONG, r"5\d\d 5\.(2\.3|3\.4)"),
    _rule(Rejected, Reason.SENDER_REFUSED, r"5\d\d", r"\brelay|is not verified", (Step.RCPT, *_MESSAGE)),
    _rule(Rejected, Reason.CONTENT_REFUSED, r"5\d\d 5\.7\.\d+"),
    _rule(Rejected, Reason.CONTENT_INVALID, r"5\d\d 5\.6\.\d+"),
    # the same, by basic code
    _rule(Rejected, Reason.ADDRESS_UNKNOWN, r"55[01]", None, (Step.RCPT,)),
    _rule(Retry, Reason.MAILBOX_FULL, r"552", None, (Step.RCPT,)),
    _rule(Rejected, Reason.ADDRESS_INVALID, r"501|553|555", None, (Step.RCPT,)),
    _rule(Rejected, Reason.RECIPIENT_BLOCKED, r"5\d\d", None, (Step.RCPT,)),
    _rule(Rejected, Reason.CONTENT_TOO_LONG, r"552", None, _MESSAGE),
    _rule(Rejected, Reason.ADDRESS_INVALID, r"553", None, _MESSAGE),
    _rule(Rejected, Reason.CONTENT_INVALID, r"50[0-4]|555", None, _MESSAGE),
    _rule(Rejected, Reason.CONTENT_REFUSED, r"5\d\d", None, _MESSAGE),
    _rule(Retry, Reason.PROVIDER_BUSY, r"4\d\d"),
    # of an answer that makes no sense: after the final dot nobody knows, before it nothing was sent
    _rule(Unknown, Reason.UNRECOGNISED_ANSWER, r"-?\d+", None, (Step.DOT,)),
    _rule(Retry, Reason.UNRECOGNISED_ANSWER, r"-?\d+"),
)

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?![0-9.])")
# Amazon SES answers `Ok <id>`, Postfix `2.0.0 Ok: queued as <id>`; others say less or nothing.
_QUEUED = re.compile(
    r"(?:^(?:2\.\d\.\d )?ok (?=[^ ]*[0-9])|queued as )<?([A-Za-z0-9._=+-]{8,100})>?\s*$", re.IGNORECASE
)

_MISFITS: dict[str, Reason] = {
    "starttls_not_offered": Reason.ACCOUNT_MISCONFIGURED,
    "auth_not_offered": Reason.ACCOUNT_MISCONFIGURED,
    "password_missing": Reason.CREDENTIALS_REFUSED,
}


def raw_code(reply: Reply) -> str:
    """A reply's codes without its text, which may quote addresses: such as `550 5.1.1`."""
    enhanced = _ENHANCED.match(reply.text)
    return f"{reply.code} {enhanced[0]}" if enhanced else str(reply.code)


def outcome_of(reply: Reply) -> Outcome:
    """Look a refusal up in the table."""
    code = raw_code(reply)
    for rule in REPLIES:
        if reply.step in rule.steps and rule.code.match(code) and (rule.text is None or rule.text.search(reply.text)):
            if rule.reason is Reason.UNRECOGNISED_ANSWER:
                logger.warning("unrecognised SMTP reply", extra={"step": reply.step.value, "raw_code": code})
            return rule.outcome(rule.reason, code)
    raise AssertionError("the last rule fits everything")


def outcome_of_failure(error: Exception) -> Outcome:
    """What it means that no session could be opened: nothing was sent."""
    if isinstance(error, RefusedError):
        return outcome_of(error.reply)
    if isinstance(error, MisfitError):
        return AccountDown(_MISFITS[error.what], error.what)
    return Retry(Reason.CONNECTION_FAILED, _failure_code(error))


def _failure_code(error: Exception) -> str:
    for kind, code in (
        (TimeoutError, "timed_out"),
        (ssl.SSLCertVerificationError, "certificate_not_trusted"),
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
    # At most 10 s to connect and 15 s for a message, and 3 s for a slow name server, which has no time-out of ours.
    worst_case_seconds: ClassVar[float] = 28.0

    def __init__(self, settings: Settings, secret: Secret, tools: Tools) -> None:
        self._settings = settings
        self._secret = secret
        self._clock = tools.clock
        self._assembler = Assembler(settings.from_address, settings.from_name, settings.reply_to)
        self._pool = Pool(tools.clock, settings.max_messages_per_connection)
        self._tls: ssl.SSLContext | None = None
        self._tls_lock = threading.Lock()

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        return [self._send(message) for message in group]

    def verify(self) -> Verification:
        settings = self._settings
        try:
            connection = self._dial(time.monotonic() + settings.connect_timeout_s)
            try:
                connection.deadline = time.monotonic() + settings.timeout_s
                reply = connection.probe(settings.from_address)
                connection.leave()
            finally:
                connection.close()
        except (RefusedError, MisfitError, OSError) as error:
            return self._explain(error)
        if reply.code != 250:
            return self._explain(RefusedError(reply))
        return Verification(True, f"{settings.host} accepted the login and the sender {settings.from_address}.")

    def close(self) -> None:
        self._pool.clear()

    def _send(self, message: Outgoing) -> Outcome:
        content = message.content
        if not isinstance(content, RenderedEmail):
            raise TypeError("an email provider takes emails")
        problem = mailbox_problem(message.to)
        if problem is not None:
            return Rejected(Reason.ADDRESS_INVALID, problem)
        wire = self._assembler.assemble(message.message_id, message.to, content, self._clock.now_ms())
        end = time.monotonic() + self._settings.connect_timeout_s + self._settings.timeout_s
        kept = self._pool.take()
        if kept is not None:
            outcome = self._transact(kept, message, wire, end)
            if outcome is not None:
                return outcome
        try:
            fresh = self._dial(min(end, time.monotonic() + self._settings.connect_timeout_s))
        except (RefusedError, MisfitError, OSError) as error:
            return outcome_of_failure(error)
        return self._transact(fresh, message, wire, end) or Retry(Reason.CONNECTION_FAILED, "connection_lost")

    def _transact(self, connection: Connection, message: Outgoing, wire: bytes, end: float) -> Outcome | None:
        """Send over a connection; None when the server had closed it and the message certainly stayed here."""
        connection.deadline = min(end, time.monotonic() + self._settings.timeout_s)
        try:
            reply = connection.transact(self._settings.from_address, message.to, wire)
        except OSError as error:
            connection.close()
            late = isinstance(error, TimeoutError)
            if connection.handed_over:
                return Unknown(Reason.TIMED_OUT if late else Reason.CONNECTION_LOST, _failure_code(error))
            return Retry(Reason.TIMED_OUT, "timed_out") if late else None
        except BaseException:
            connection.close()
            raise
        self._pool.give_back(connection)
        if reply.step is Step.DOT and 200 <= reply.code < 300:
            queued = _QUEUED.search(reply.text)
            return Sent(queued[1] if queued else self._assembler.message_id(message.message_id))
        return outcome_of(reply)

    def _dial(self, deadline: float) -> Connection:
        """Open a session and log in. Raises: RefusedError, MisfitError, OSError."""
        settings, password = self._settings, self._secret.password
        helo = settings.helo or settings.from_address.rpartition("@")[2]
        connection = Connection(helo, deadline, self._clock.now_ms())
        try:
            connection.open(settings.host, settings.port, settings.security, self._tls_context())
            if settings.username is not None:
                if password is None:
                    raise MisfitError("password_missing")
                connection.authenticate(settings.username, password.get_secret_value())
        except BaseException:
            connection.close()
            raise
        return connection

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._settings.security == "none":
            return None
        with self._tls_lock:
            if self._tls is None:
                self._tls = ssl.create_default_context(cadata=self._settings.ca_pem)
            return self._tls

    def _explain(self, error: Exception) -> Verification:
        """Say in plain words why the account cannot send."""
        outcome = outcome_of_failure(error)
        if isinstance(outcome, Sent):
            raise TypeError("a failure cannot be a success")
        code, host, port = outcome.raw_code, self._settings.host, self._settings.port
        if isinstance(error, RefusedError):
            if outcome.reason is Reason.CREDENTIALS_REFUSED:
                return Verification(False, f"{host} refused the login.", _login_advice(host, error.reply.text), code)
            if outcome.reason is Reason.SENDER_REFUSED:
                summary = f"{host} does not let this login send as {self._settings.from_address}."
                action = "Use the login's own address as sender, or verify the sender with the provider."
                return Verification(False, summary, action, code)
            summary, action = EXPLANATIONS[outcome.reason]
            return Verification(False, f"{host} answered {code}. {summary}", action, code)
        summary, action = _FAILURE_WORDS[code]
        return Verification(False, summary.format(host=host, port=port), action, code)


def _login_advice(host: str, text: str) -> str:
    if host == "qq.com" or host.endswith(".qq.com") or "authorization code" in text.lower():
        return "QQ Mail wants the 16-character authorization code made in its web settings, not the account's password."
    if host.endswith(".amazonaws.com"):
        return "Use SMTP credentials made in the SES console; AWS access keys do not work here."
    return "Check the username and the password; some providers want a password made for apps."


_FAILURE_WORDS: dict[str, tuple[str, str]] = {
    "timed_out": (
        "{host}:{port} did not answer in time.",
        "Check host and port, that port 465 goes with tls, and that the network lets connections out on this port.",
    ),
    "certificate_not_trusted": (
        "The certificate of {host} is not trusted, has expired or is for another name.",
        "Use the name on the server's certificate, or give the certificate authority as ca_pem.",
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
