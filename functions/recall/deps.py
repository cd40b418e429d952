"""Wires the function that recalls messages."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.recall.function import RecallSettings
from functions.recall.operations import Recalling
from functions.recall.stopping import Stopper
from functions.recall.withdrawing import Withdrawer
from shared.api.kit import Api
from shared.wiring.accounts import AccountParts

THREADS = 16


@cache
def deps() -> Api:
    """The API, built on first use."""
    # One pool for all: no task of it waits for another.
    pool = ThreadPoolExecutor(THREADS, "recall")
    return Api(recalling_of(AccountParts(RecallSettings.load(), pool=pool), pool).operations())


def recalling_of(parts: AccountParts, pool: ThreadPoolExecutor) -> Recalling:
    """What recalls messages."""
    stopper = Stopper(parts.timeline, parts.ledger, parts.awaiting, parts.clock, pool)
    withdrawer = Withdrawer(parts.accounts, parts.clock, pool)
    return Recalling(parts.timeline, stopper, withdrawer, parts.stream, parts.clock, parts.campaigns, parts.catalog)
