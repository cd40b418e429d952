"""Emails over a way with a round trip of 20 ms: seconds per message, against smtplib on one connection."""

import smtplib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from bench.email import dispatch, parts_for, prebuilt, program, queued, sink
from bench.figures import Figure
from bench.sample import CONTENT, FROM, Memory, NoLedger, dispatcher, dynamodb_in_air
from shared.model.clock import SystemClock
from shared.model.content import RenderedEmail
from shared.model.outcome import Sent
from shared.model.words import Channel
from shared.net.network import Network
from shared.providers.base import Outgoing, Tools
from shared.providers.email.smtp import provider as smtp
from shared.store.tokens import MemoryTokenCache

ONE_WAY_MS = "10"
ON_ONE_CONNECTION = 3 * smtp.GROUP


@contextmanager
def _far_sink(*options: str) -> Iterator[int]:
    with sink(*options) as port, program("bench.proxy", "--to", str(port), "--delay-ms", ONE_WAY_MS) as far:
        yield far


def _seconds(run: Callable[[], int], rounds: int = 3) -> float:
    """Of one message, the median over rounds."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        items = run()
        found.append((time.perf_counter() - started) / items)
    return median(found)


def _smtplib(port: int) -> float:
    built = prebuilt()[:ON_ONE_CONNECTION]
    with smtplib.SMTP("127.0.0.1", port) as server:

        def send() -> int:
            for to, data in built:
                server.sendmail(FROM, [to], data)
            return len(built)

        return _seconds(send)


def _one_connection(port: int) -> float:
    """Ours, on a connection that is open."""
    settings = smtp.Settings.model_validate(
        {"provider": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "from_address": FROM}
        | {"max_connections": 1, "max_messages_per_connection": 10_000}
    )
    clock = SystemClock()
    tools = Tools(clock, MemoryTokenCache(clock), "default/main", Network(loopback=True))
    provider = smtp.build(settings, smtp.Secret(), tools)
    content = RenderedEmail(subject=CONTENT.subject, html=CONTENT.html, text=CONTENT.text)
    messages = [Outgoing(f"message{i:05d}", f"user{i}@example.com", content) for i in range(ON_ONE_CONNECTION)]

    def send() -> int:
        outcomes = [outcome for group in provider.group(messages) for outcome in provider.send(group)]
        if not all(isinstance(outcome, Sent) for outcome in outcomes):
            raise RuntimeError("not everything was sent")
        return len(outcomes)

    send()
    try:
        return _seconds(send)
    finally:
        provider.close()


def _function(port: int) -> float:
    """A whole function with its usual connections."""
    with ThreadPoolExecutor(32) as calls, ThreadPoolExecutor(10) as side:
        memory = Memory(port)
        parts = parts_for(memory, calls, side)
        bare = dispatcher(Channel.EMAIL, memory, dynamodb_in_air(), **parts, ledger=NoLedger())
        batches = queued(100)
        dispatch(bare, memory, batches)
        return _seconds(lambda: dispatch(bare, memory, batches))


def run() -> list[Figure]:
    """email_rtt_vs_smtplib, email_rtt_chunking_vs_smtplib and email_rtt_function_vs_smtplib."""
    with _far_sink() as port, _far_sink("--chunking") as chunking:
        base = _smtplib(port)
        one, whole, function = _one_connection(port), _one_connection(chunking), _function(port)
    name, unit = "smtplib.sendmail on one connection", "ms per email"
    return [
        Figure("email_rtt_vs_smtplib", one * 1000, unit, name, base * 1000, 1 / 2),
        Figure("email_rtt_chunking_vs_smtplib", whole * 1000, unit, name, base * 1000, 1 / 5),
        Figure("email_rtt_function_vs_smtplib", function * 1000, unit, name, base * 1000, 1 / 8),
    ]
