"""Processor time per email: the SMTP dispatcher against two loops over smtplib, all to a sink in another process."""

import smtplib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

from jinja2 import Environment

from bench.figures import Figure, cpu_medians
from bench.sample import CONTENT, FROM, Memory, NoLedger, dispatcher, dynamodb_in_air, envelopes, variables
from shared.dispatch.accounts import Accounts
from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.sending import Sender
from shared.model.clock import SystemClock
from shared.model.words import Channel
from shared.net.network import Network
from shared.store.tokens import MemoryTokenCache

MESSAGES = 1000


@contextmanager
def program(module: str, *options: str) -> Iterator[int]:
    """A program in a process of its own that prints its port and ends with its input; yields the port."""
    command = [sys.executable, "-m", module, *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the program has no output")
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=10)


def sink(*options: str) -> AbstractContextManager[int]:
    """A bare SMTP sink in a process of its own; gives its port."""
    return program("local.sandbox.smtp_sink", *options)


class _Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def _naive(port: int) -> int:
    """What one would write first: an EmailMessage per recipient over one kept connection."""
    environment = Environment(autoescape=True)
    subject, html, text = (environment.from_string(s or "") for s in (CONTENT.subject, CONTENT.html, CONTENT.text))
    with smtplib.SMTP("127.0.0.1", port) as server:
        for i in range(MESSAGES):
            values = variables(i)
            message = EmailMessage()
            message["Subject"] = subject.render(values)
            message["From"] = FROM
            message["To"] = Address(addr_spec=f"user{i}@example.com")
            message.set_content(text.render(values))
            message.add_alternative(html.render(values), subtype="html")
            server.send_message(message)
    return MESSAGES


def prebuilt() -> list[tuple[str, bytes]]:
    made = []
    for i in range(MESSAGES):
        message = EmailMessage()
        values = variables(i)
        message["Subject"] = f"订单 {values['order']} 已发货"
        message["From"], message["To"] = FROM, f"user{i}@example.com"
        message.set_content((CONTENT.text or "").replace("{{ name }}", values["name"]))
        message.add_alternative((CONTENT.html or "").replace("{{ name }}", values["name"]), subtype="html")
        made.append((f"user{i}@example.com", message.as_bytes().replace(b"\n", b"\r\n")))
    return made


def queued(each: int) -> list[dict[str, Any]]:
    """What the queue hands over: the messages in batches of ten envelopes of `each` recipients. Others make that."""
    made = [{"messageId": envelope.id, "body": envelope.to_json()} for envelope in envelopes(MESSAGES // each, each)]
    return [{"Records": made[start : start + 10]} for start in range(0, len(made), 10)]


def dispatch(dispatcher: Dispatcher, memory: Memory, batches: Sequence[dict[str, Any]]) -> int:
    """Send the messages."""
    before = memory.sent
    for batch in batches:
        if dispatcher.run(batch, _Context())["batchItemFailures"]:
            raise RuntimeError("an envelope was handed back")
    if memory.sent - before != MESSAGES:
        raise RuntimeError("not everything was sent")
    return MESSAGES


def parts_for(memory: Memory, calls: Executor, side: Executor) -> dict[str, Any]:
    """What a dispatcher needs to reach a sink. calls, side: its pools."""
    clock = SystemClock()
    return {
        "clock": clock,
        "accounts": Accounts(memory, memory, MemoryTokenCache(clock), clock, Network(loopback=True)),
        "sender": Sender(clock, calls),
        "envelopes": side,
    }


def run() -> list[Figure]:
    """email_cpu_vs_naive and email_cpu_vs_prebuilt; guard_cpu and guard_cpu_lone, the price of the ledger."""
    with sink() as port, ThreadPoolExecutor(32) as calls, ThreadPoolExecutor(10) as side:
        memory = Memory(port)
        parts = parts_for(memory, calls, side)
        guarded = dispatcher(Channel.EMAIL, memory, dynamodb_in_air(), **parts)
        bare = dispatcher(Channel.EMAIL, memory, dynamodb_in_air(), **parts, ledger=NoLedger())
        built_before, hundreds, ones = prebuilt(), queued(100), queued(1)

        def sendmail() -> int:
            with smtplib.SMTP("127.0.0.1", port) as server:
                for to, data in built_before:
                    server.sendmail(FROM, [to], data)
            return MESSAGES

        mine, without, naive, built, lone, lone_without = cpu_medians(
            [
                lambda: dispatch(guarded, memory, hundreds),
                lambda: dispatch(bare, memory, hundreds),
                lambda: _naive(port),
                sendmail,
                lambda: dispatch(guarded, memory, ones),
                lambda: dispatch(bare, memory, ones),
            ]
        )
    unit = "µs CPU per email"
    return [
        Figure("email_cpu_vs_naive", mine, unit, "EmailMessage + smtplib", naive, 0.1),
        # Like the loop beside it, without requests to AWS: what these cost is `guard_cpu`.
        Figure("email_cpu_vs_prebuilt", without, unit, "smtplib.sendmail of prebuilt bytes", built, 0.8),
        Figure("guard_cpu", mine, unit, "no ledger", without),
        Figure("guard_cpu_lone", lone, "µs CPU per envelope of one", "no ledger", lone_without),
    ]
