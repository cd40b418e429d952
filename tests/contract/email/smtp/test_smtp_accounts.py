"""Encryption, logins and what verifying an SMTP account says."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from local.sandbox.base import Fault
from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tls import make_identity
from shared.model.outcome import AccountDown, Outcome, Retry, Sent
from shared.model.reasons import Reason
from shared.providers.base import Outgoing, Verification
from shared.providers.email.smtp.provider import SmtpProvider
from tests.contract.email.support import closed_port, scripted, send_one

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]
USER = "notice@example.com"
PASSWORD = "pässwörd 密码"


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_login_over_each_kind_of_connection(
    security: Any, pipelining: bool, smtp_provider: Make, outgoing: Message
) -> None:
    with SmtpSandbox(security=security, username=USER, password=PASSWORD, pipelining=pipelining) as sandbox:
        provider = smtp_provider(sandbox, PASSWORD, username=USER)
        assert all(isinstance(send_one(provider, outgoing()), Sent) for _ in range(3))
        assert sandbox.connections == 1
        assert provider.verify() == Verification(True, f"127.0.0.1 accepted the login and the sender {USER}.")
        assert sandbox.outbox.count() == 3


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_by_name(security: Any, smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(security=security) as sandbox:
        assert isinstance(send_one(smtp_provider(sandbox, host="localhost"), outgoing()), Sent)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("trust", ["another authority", "the public ones"])
def test_an_untrusted_certificate(trust: str, security: Any, smtp_provider: Make, outgoing: Message) -> None:
    ca_pem = make_identity().ca_pem if trust == "another authority" else None
    with SmtpSandbox(security=security, username=USER, password=PASSWORD) as sandbox:
        provider = smtp_provider(sandbox, PASSWORD, username=USER, ca_pem=ca_pem)
        assert send_one(provider, outgoing()) == Retry(Reason.CONNECTION_FAILED, "certificate_authority_unknown")
        assert provider.verify() == Verification(
            False,
            "The server's certificate comes from an authority that is not trusted, or a certificate in between is "
            "missing.",
            "Give the authority's certificate as ca_pem, or have the server send its whole chain.",
            "certificate_authority_unknown",
        )
        assert sandbox.outbox.count() == 0


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_name(security: Any, smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(security=security) as sandbox:
        sandbox.identity = make_identity(("mail.example.com",), "127.0.0.9")
        sandbox.stop()
        sandbox.start()
        assert send_one(smtp_provider(sandbox), outgoing()) == Retry(
            Reason.CONNECTION_FAILED, "certificate_for_another_name"
        )


def test_words_put_in_before_encryption(smtp_provider: Make, outgoing: Message) -> None:
    ehlo = b"250-server\r\n250 STARTTLS\r\n"
    with scripted(b"220 hi\r\n", ehlo, b"220 go on\r\n250-evil\r\n250 AUTH PLAIN\r\n") as (port, _):
        outcome = send_one(smtp_provider(port, security="starttls"), outgoing())
    assert outcome == Retry(Reason.CONNECTION_FAILED, "tls_failed")


def test_encryption_on_a_port_without(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox() as sandbox:
        tls = smtp_provider(sandbox, security="tls")
        assert send_one(tls, outgoing()) == Retry(Reason.CONNECTION_FAILED, "tls_failed")
        assert tls.verify().action == "Choose tls for port 465 and starttls for port 587."
        starttls = smtp_provider(sandbox, security="starttls")
        assert send_one(starttls, outgoing()) == AccountDown(Reason.ACCOUNT_MISCONFIGURED, "starttls_not_offered")
        assert "does not offer STARTTLS" in starttls.verify().summary
        assert sandbox.outbox.count() == 0


def test_a_login_that_is_not_offered(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox() as sandbox:
        provider = smtp_provider(sandbox, "p", username=USER)
        assert send_one(provider, outgoing()) == AccountDown(Reason.ACCOUNT_MISCONFIGURED, "auth_not_offered")
        assert "offers no login" in provider.verify().summary


def test_a_login_without_password(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(username=USER, password=PASSWORD) as sandbox:
        provider = smtp_provider(sandbox, username=USER)
        assert send_one(provider, outgoing()) == AccountDown(Reason.CREDENTIALS_REFUSED, "password_missing")
        assert provider.verify().action == "Set the account's password."


WANTS_CODE = "QQ Mail wants the 16-character authorization code made in its web settings, not the account's password."
MANY = "Check the username and the password; some providers want a password made for apps."


@pytest.mark.parametrize(
    ("flavour", "code", "action"),
    [("plain", "535 5.7.8", MANY), ("ses", "535", MANY), ("qq", "535", WANTS_CODE)],
)
def test_a_wrong_password(flavour: Any, code: str, action: str, smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(security="tls", username=USER, password=PASSWORD, flavour=flavour) as sandbox:
        provider = smtp_provider(sandbox, "wrong", username=USER)
        assert send_one(provider, outgoing()) == AccountDown(Reason.CREDENTIALS_REFUSED, code)
        assert provider.verify() == Verification(False, "127.0.0.1 refused the login.", action, code)
        # One try each: some providers lock an account after a few.
        assert sandbox.connections == 2


@pytest.mark.parametrize(("flavour", "code"), [("plain", "530 5.7.0"), ("ses", "530"), ("qq", "503")])
def test_no_login_where_one_is_wanted(flavour: Any, code: str, smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(username=USER, password=PASSWORD, flavour=flavour) as sandbox:
        provider = smtp_provider(sandbox)
        assert send_one(provider, outgoing()) == AccountDown(Reason.CREDENTIALS_REFUSED, code)
        assert not provider.verify().ok


def test_login_in_two_steps(smtp_provider: Make, outgoing: Message) -> None:
    script = [
        b"220 hi\r\n",
        b"250-server\r\n250 AUTH LOGIN\r\n",
        b"334 UGFzcw==\r\n",
        b"235 ok\r\n",
    ]
    envelope = [b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n", b"250 ok\r\n"]
    with scripted(*script, *envelope) as (port, heard):
        assert isinstance(send_one(smtp_provider(port, "secret", username="me"), outgoing()), Sent)
    assert heard[1:4] == [b"AUTH LOGIN bWU=\r\n", b"c2VjcmV0\r\n", b"MAIL FROM:<notice@example.com>\r\n"]


@pytest.mark.parametrize("answer", [b"454 4.7.0 Temporary authentication failure\r\n", b"421 later\r\n"])
def test_a_login_that_fails_for_now(answer: bytes, smtp_provider: Make, outgoing: Message) -> None:
    with scripted(b"220 hi\r\n", b"250-server\r\n250 AUTH PLAIN\r\n", answer) as (port, _):
        outcome = send_one(smtp_provider(port, "secret", username="me"), outgoing())
    assert isinstance(outcome, Retry)
    assert outcome.reason is Reason.PROVIDER_BUSY


def test_qq_mail_wants_the_login_as_sender(smtp_provider: Make, outgoing: Message) -> None:
    with SmtpSandbox(security="tls", username="12345@qq.com", password="abcdefghijklmnop", flavour="qq") as sandbox:
        provider = smtp_provider(sandbox, "abcdefghijklmnop", username="12345@qq.com")
        assert send_one(provider, outgoing()) == AccountDown(Reason.SENDER_REFUSED, "501")
        assert provider.verify() == Verification(
            False,
            f"127.0.0.1 does not let this login send as {USER}.",
            "Set `from_address` to the login's own address.",
            "501",
        )
        right = smtp_provider(sandbox, "abcdefghijklmnop", username="12345@qq.com", from_address="12345@qq.com")
        assert right.verify().ok
        assert isinstance(send_one(right, outgoing()), Sent)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (550, "Sender frequency limited", Retry(Reason.THROTTLED, "550")),
        (550, "Mailbox unavailable or access denied", Retry(Reason.RECIPIENT_LIMIT, "550")),
    ],
)
def test_qq_mail_says_550_and_means_later(
    status: int, text: str, expected: Outcome, smtp_provider: Make, outgoing: Message
) -> None:
    with SmtpSandbox(flavour="qq") as sandbox:
        sandbox.faults.add(Fault("code", status=status, code=text, to="zhang.san@example.com"))
        assert send_one(smtp_provider(sandbox), outgoing()) == expected


def test_verify_words_for_what_cannot_be_reached(smtp_provider: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    assert smtp_provider(port).verify() == Verification(
        False, f"Nothing listens on 127.0.0.1:{port}.", "Check host and port.", "connection_refused"
    )

    def not_found(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    unknown = smtp_provider(port, host="mail.example.invalid", security="tls").verify()
    assert (unknown.ok, unknown.summary, unknown.raw_code) == (
        False,
        "The host mail.example.invalid was not found.",
        "host_not_found",
    )


def test_verify_words_for_a_refused_sender_and_a_busy_server(smtp_provider: Make) -> None:
    with SmtpSandbox() as sandbox:
        provider = smtp_provider(sandbox)
        sandbox.faults.add(Fault("code", status=530, code="5.7.0 Must issue a STARTTLS command first"))
        assert provider.verify().raw_code == "530 5.7.0"
        sandbox.faults.add(Fault("status", status=421))
        busy = provider.verify()
        assert busy == Verification(
            False,
            "127.0.0.1 answered 421 4.3.2. The provider was busy.",
            "Nothing: the platform tries again by itself.",
            "421 4.3.2",
        )
        assert provider.verify().ok


def test_advice_for_amazon_ses(smtp_provider: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is SES's, the connection goes to a server of ours."""
    real = socket.getaddrinfo
    with SmtpSandbox(security="none", username=USER, password=PASSWORD, flavour="ses") as sandbox:
        provider = smtp_provider(sandbox, "wrong", username=USER)
        monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **kw: real("127.0.0.1", port, **kw))
        named = provider._settings.model_copy(update={"host": "email-smtp.eu-west-1.amazonaws.com"})
        monkeypatch.setattr(provider, "_settings", named)
        assert (
            provider.verify().action
            == "Use SMTP credentials made in the SES console; AWS access keys do not work here."
        )


def test_no_way_around_verification(smtp_provider: Make) -> None:
    with SmtpSandbox(security="tls") as sandbox:
        context = smtp_provider(sandbox)._tls_context()
        assert context is not None
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
