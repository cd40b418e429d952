"""Wires the function that reads mailboxes."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools.metrics import EphemeralMetrics

from functions.mailboxes.function import MailboxesSettings
from functions.mailboxes.reading import Reader
from shared.wiring.parts import Parts

THREADS = 8
"""Mailboxes that are read side by side: of each at most half a megabyte is held at once."""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """What reads mailboxes, its metrics, and the name of the deployment that they carry."""

    reader: Reader
    metrics: EphemeralMetrics
    deployment: str


@cache
def deps() -> Mailboxes:
    """The function's parts, built on first use."""
    parts = Parts(MailboxesSettings.load())
    pool = ThreadPoolExecutor(THREADS, "mailbox")
    return Mailboxes(reader_of(parts, pool), EphemeralMetrics(), parts.settings.schedule_group)


def reader_of(parts: Parts, pool: Executor) -> Reader:
    """What reads mailboxes."""
    return Reader(
        tenants=parts.tenants,
        accounts=parts.account_store,
        inboxes=parts.inboxes,
        secrets=parts.secrets,
        queue=parts.receipt_queue,
        network=parts.settings.network,
        clock=parts.clock,
        pool=pool,
    )
