"""TLS towards providers: whom to trust, and what is wrong with a certificate that cannot be trusted."""

import functools
import ssl

_PEM_KEY = "PRIVATE KEY-----"

# By OpenSSL's number of the fault (x509_vfy.h); what is left are breaches of RFC 5280 or of OpenSSL's least strength.
_CODES = {
    9: "certificate_not_valid_yet",
    10: "certificate_expired",
    18: "certificate_self_signed",
    19: "certificate_authority_unknown",
    20: "certificate_authority_unknown",
    21: "certificate_authority_unknown",
    62: "certificate_for_another_name",
    64: "certificate_for_another_name",
    66: "certificate_too_weak",
    67: "certificate_too_weak",
    68: "certificate_too_weak",
}
BROKEN = "certificate_breaks_rules"


def client_context(ca_pem: str | None) -> ssl.SSLContext:
    """A context that checks a server's chain, dates and name. ca_pem: trust these certificates, not the public ones.

    Python 3.13 began to refuse certificates that break RFC 5280 in form, such as those of authorities that companies
    made years ago. Who names such an authority has said whom to trust, so its form is not judged; on any version the
    named certificates may be those of an intermediate authority or of the server itself.
    """
    if ca_pem is None:
        return _public()
    context = ssl.create_default_context(cadata=ca_pem)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@functools.cache
def _public() -> ssl.SSLContext:
    """Read the public authorities once for all accounts: that takes longer than a call."""
    return ssl.create_default_context()


def check_ca_pem(pem: str) -> str:
    """Return certificates in PEM form. Raises: ValueError with what to do."""
    if _PEM_KEY in pem:
        raise ValueError("give certificates alone: a private key stays where it is")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: not in ASCII
        raise ValueError("give certificates in PEM form") from error
    return pem


def fault_of(error: ssl.SSLCertVerificationError) -> str:
    """What is wrong with a server's certificate, as a code that `problems.WORDS` explains."""
    return _CODES.get(error.verify_code, BROKEN)
