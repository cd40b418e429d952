"""What the contract tests of the SMS providers share."""

import contextlib
import datetime
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from local.sandbox.base import Request, Response
from shared.model.clock import Clock, SystemClock
from shared.model.content import RenderedSms
from shared.net.network import Network
from shared.providers.base import Outgoing, Token, Tools


class NoTokens:
    """Neither provider of text messages needs tokens."""

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        raise AssertionError("no token is needed")


def tools(clock: Clock | None = None) -> Tools:
    """Surroundings for a provider."""
    return Tools(clock or SystemClock(), NoTokens(), "tenant/account", Network(loopback=True))


def sms(template: str | None = "1234", *params: str, text: str | None = None) -> RenderedSms:
    """A rendered message."""
    return RenderedSms(text, template, params)


def message(to: str, content: RenderedSms | None = None, n: int = 0) -> Outgoing:
    """A message to a number."""
    return Outgoing(f"01JHN0000000000000000000{n:02d}TAGTAGTAGTAGTAGT", to, content or sms())


def mainland(n: int) -> list[Outgoing]:
    """Messages of the same content to `n` mainland numbers."""
    return [message(f"+86138{i:08d}") for i in range(n)]


class Recorded:
    """Mixed into a sandbox: keeps the requests, and can answer the next one with `answer` in place of the sandbox's."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.requests: list[Request] = []
        self.answer: Response | None = None

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answer is not None:
            return self.answer
        return super().handle(request)  # type: ignore[misc, no-any-return] # of the sandbox this is mixed into


def closed_url() -> str:
    """An address on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def _self_signed(folder: Path) -> Path:
    """Write a key and a certificate that nobody trusts."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return pem


@contextlib.contextmanager
def untrusted_url() -> Iterator[str]:
    """A TLS server on loopback with a certificate that nobody trusts; it takes one connection."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_self_signed(Path(folder)))

        def serve() -> None:
            connection, _ = server.accept()
            with contextlib.suppress(OSError), connection:
                connection.settimeout(10)
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)
