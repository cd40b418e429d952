"""Certificates of SMTP servers: whom an account trusts, on any version of Python, and words for what is wrong.

Python 3.13 and later set two flags that earlier ones do not (`ssl.create_default_context`, "Changed in version 3.13").
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from local.sandbox.smtp import SmtpSandbox
from local.sandbox.tls import Identity
from shared.model.outcome import Retry, Sent
from shared.model.reasons import Reason
from shared.net import tls
from shared.net.problems import WORDS
from shared.providers.base import Outgoing
from shared.providers.email.smtp.provider import SmtpProvider
from tests.certificates import Certificate, authority, server
from tests.contract.email.support import send_one

Make = Callable[..., SmtpProvider]
Message = Callable[..., Outgoing]


@pytest.fixture(params=["this Python", "3.13"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Contexts as this Python makes them, and as 3.13 and later do."""
    real = ssl.create_default_context

    def as_later(*args: Any, **more: Any) -> ssl.SSLContext:
        context = real(*args, **more)
        if context.check_hostname:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        return context

    if request.param == "3.13":
        monkeypatch.setattr(ssl, "create_default_context", as_later)
    return str(request.param)


@contextmanager
def serving(leaf: Certificate, security: Any = "tls") -> Iterator[SmtpSandbox]:
    key = leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sandbox = SmtpSandbox(security=security)
    sandbox.identity = Identity("", leaf.pem, key.decode())
    with sandbox:
        yield sandbox


def old_authorities() -> dict[str, tuple[Certificate, Certificate]]:
    """Authorities and servers' certificates as companies made them for years, each with one breach of RFC 5280."""
    vague, untold, good = authority(critical=False), authority(usage=False), authority()
    return {
        "constraints not critical": (vague, server(vague)),
        "no key usage": (untold, server(untold)),
        "no authority key identifier": (good, server(good, identified=False)),
        "proper": (good, server(good)),
    }


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_an_authority_that_the_account_names_is_trusted_on_every_python(
    python: str, security: Any, smtp_provider: Make, outgoing: Message
) -> None:
    for name, (ca, leaf) in old_authorities().items():
        with serving(leaf, security) as sandbox:
            provider = smtp_provider(sandbox, host="localhost", ca_pem=ca.pem)
            assert provider.verify().ok, f"{name} on {python}"
            assert isinstance(send_one(provider, outgoing()), Sent), f"{name} on {python}"


def test_the_servers_own_certificate_may_be_named(python: str, smtp_provider: Make, outgoing: Message) -> None:
    by_itself, by_other = server(None), server(authority())
    for leaf in (by_itself, by_other):
        with serving(leaf) as sandbox:
            provider = smtp_provider(sandbox, host="localhost", ca_pem=leaf.pem)
            assert isinstance(send_one(provider, outgoing()), Sent), python


CA, OTHER = authority(), authority()
FAULTS = {
    "certificate_expired": (server(CA, from_days=-30, days=10), CA.pem),
    "certificate_not_valid_yet": (server(CA, from_days=10), CA.pem),
    "certificate_for_another_name": (server(CA, host="mail.example.com"), CA.pem),
    "certificate_authority_unknown": (server(CA), OTHER.pem),
    "certificate_self_signed": (server(None), OTHER.pem),
}


@pytest.mark.parametrize("code", FAULTS)
def test_what_is_wrong_with_a_certificate_is_said_in_words(
    code: str, python: str, smtp_provider: Make, outgoing: Message
) -> None:
    leaf, ca_pem = FAULTS[code]
    with serving(leaf) as sandbox:
        provider = smtp_provider(sandbox, host="localhost", ca_pem=ca_pem)
        found = provider.verify()
        assert (found.ok, found.summary, found.action, found.raw_code) == (False, *WORDS[code], code)
        assert send_one(provider, outgoing()) == Retry(Reason.CONNECTION_FAILED, code)
        assert sandbox.outbox.count() == 0


@pytest.mark.parametrize("name", ["constraints not critical", "no key usage", "no authority key identifier"])
def test_an_authority_of_the_system_that_breaks_the_rules_is_refused_in_words(
    name: str, smtp_provider: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the account names no authority, Python's own strictness stays, and the words say what helps."""
    ca, leaf = old_authorities()[name]
    strict = ssl.create_default_context(cadata=ca.pem)
    strict.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    monkeypatch.setattr(tls, "_public", lambda: strict)
    with serving(leaf) as sandbox:
        found = smtp_provider(sandbox, host="localhost", ca_pem=None).verify()
    assert (found.ok, found.raw_code) == (False, "certificate_breaks_rules")
    assert "give its certificate as ca_pem" in found.action


def test_a_private_key_among_the_certificates_is_refused(smtp_provider: Make) -> None:
    key = CA.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="a private key stays where it is") as caught:
        smtp_provider(1, host="localhost", security="tls", ca_pem=CA.pem + key.decode())
    assert key.decode()[40:60] not in str(caught.value)
