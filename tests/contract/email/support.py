"""What the tests of both email providers share, and a server that says only what a test tells it to."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shared.model.clock import Clock
from shared.model.content import RenderedEmail
from shared.model.outcome import Outcome
from shared.net.network import Network
from shared.providers.base import Outgoing, Provider, Token, TokenCache, Tools

SUBJECT = "【商城】您的订单 No. 1 已发货 🎉，感谢您一直以来的支持与信任，期待您的再次光临 é"
TEXT = "你好，张三 👩‍👩‍👧‍👦\n.一行以点开头\n..两点\n.\n再见\n"
HTML = "<p>你好，<b>张三</b> 🎉</p>\n.\n<p>é</p>\n"


class NoTokens:
    """By SMTP there are no tokens."""

    def get(self, key: str, fetch: Callable[[], Token], rejected: str | None = None) -> str:
        raise AssertionError("not for email")


def tools(clock: Clock, tokens: TokenCache | None = None) -> Tools:
    return Tools(clock, tokens or NoTokens(), "default/mail", Network(loopback=True))


def email(number: int = 1, to: str = "zhang.san@example.com", **changes: Any) -> Outgoing:
    """A message in two parts with something from everywhere in it."""
    content = RenderedEmail(**({"subject": SUBJECT, "html": HTML, "text": TEXT} | changes))
    return Outgoing(f"01K000000000000000000000{number:02d}abcdefghijklmnop", to, content)


def send_one(provider: Provider, message: Outgoing) -> Outcome:
    (outcome,) = provider.send([message])
    assert outcome is not None
    return outcome


@contextlib.contextmanager
def scripted(*replies: bytes, sessions: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """A server's port and what it heard. It says the first reply at once and another after each thing it hears.

    After the last it closes the connection. So many sessions are served, one after another.
    """
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        for _ in range(sessions):
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(5)
                _play(connection, replies, heard)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.close()
        thread.join(6)


def _play(connection: socket.socket, replies: Sequence[bytes], heard: list[bytes]) -> None:
    connection.sendall(replies[0])
    for reply in replies[1:]:
        received = connection.recv(65536)
        if not received:
            return
        heard.append(received)
        connection.sendall(reply)


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
