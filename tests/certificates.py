"""Certificates for tests: good ones, and those of authorities and servers that are wrong in one way."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def save(self, folder: Path) -> Path:
        """Write certificate and key to a file, as servers want them."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = folder / "server.pem"
        file.write_text(self.pem + key.decode())
        return file


def authority(*, critical: bool = True, usage: bool = True) -> Certificate:
    """A certificate authority. critical: whether it says so as RFC 5280 asks. usage: whether it says what for."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("Test CA", "Test CA", key).add_extension(x509.BasicConstraints(True, None), critical)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    if usage:
        uses = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(uses, True)
    return Certificate(builder.sign(key, hashes.SHA256()), key)


def server(
    by: Certificate | None, *, host: str = "localhost", identified: bool = True, from_days: int = -1, days: int = 30
) -> Certificate:
    """A server's certificate, signed `by` an authority or by itself. identified: whether it names the authority's key.

    from_days: from when it is valid, in days from now. days: for how long.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    signer = by.key if by else key
    builder = _builder(host, "Test CA" if by else host, key, from_days, days)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
    if identified:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    return Certificate(builder.sign(signer, hashes.SHA256()), key)


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, from_days: int = -1, days: int = 30
) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) + from_days * _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + days * _DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
