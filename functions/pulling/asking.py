"""Asks providers for what they say of messages, account by account, for those whose settings want it.

A provider tells each thing once, so each is on the queue of receipts before more is asked for. What a callback brought
as well is known there as a repeat.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from aws_lambda_powertools import Logger

from shared.aws.receipts import ReceiptQueue
from shared.base.logs import log_error
from shared.dispatch.accounts import Accounts
from shared.errors import NotQueuedError
from shared.model.accounts import Account, AccountState
from shared.model.clock import Clock
from shared.model.receipts import Arrived
from shared.providers.base import PullError
from shared.providers.table import PROVIDERS
from shared.store.catalog import Catalog

logger = Logger(child=True)

MOST = 200
"""Bodies that one account tells in one go; the rest waits for the next, so that no account keeps others from theirs."""
SPARE_MS = 45_000
"""How long before its end a function asks no more: a call and what it tells take less."""
PUTS = 3
"""Tries to put on the queue what nobody is told again."""


@dataclass(slots=True)
class Asked:
    """What came of it."""

    told: int = 0
    """Bodies that are on the queue."""
    failed: list[str] = field(default_factory=list)
    """The accounts that could not be asked, or whose answers were not kept."""
    unasked: int = 0
    """Accounts for which there was no time."""


class Asker:
    """Asks. accounts: builds their providers."""

    def __init__(self, catalog: Catalog, accounts: Accounts, queue: ReceiptQueue, clock: Clock) -> None:
        self._catalog = catalog
        self._accounts = accounts
        self._queue = queue
        self._clock = clock

    def run(self, remaining_ms: Callable[[], int]) -> Asked:
        """Ask for all accounts once. remaining_ms: how long the function has.

        Raises: what the catalog's table raises.
        """
        result = Asked()
        for account in self._wanting():
            if remaining_ms() < SPARE_MS:
                result.unasked += 1
                continue
            try:
                result.told += self._ask(account, remaining_ms)
            except PullError as error:
                logger.warning("receipts not told", account=account.id, provider=account.provider, code=error.code)
                result.failed.append(account.id)
            except Exception as error:  # a broken account must not keep others from theirs
                log_error(logger, "receipts cannot be asked for", error, account=account.id, provider=account.provider)
                result.failed.append(account.id)
        return result

    def _wanting(self) -> Iterator[Account]:
        """The active accounts that are to be asked."""
        for tenant in self._catalog.list_tenants():
            for account in self._catalog.list_accounts(tenant):
                spec = PROVIDERS.get(account.provider)
                setting = None if spec is None else spec.pull_setting
                if account.state is AccountState.ACTIVE and setting is not None and account.settings.get(setting):
                    yield account

    def _ask(self, account: Account, remaining_ms: Callable[[], int]) -> int:
        told = 0
        for bodies in self._accounts.provider(account).pulled():
            self._keep(account, bodies)
            told += len(bodies)
            if told >= MOST or remaining_ms() < SPARE_MS:
                break
        return told

    def _keep(self, account: Account, bodies: Sequence[str]) -> None:
        """Put on the queue what is told once. Raises: NotQueuedError, after all of it has been tried."""
        now = self._clock.now_ms()
        left = [
            Arrived(provider=account.provider, tenant=account.tenant, account=account.id, at=now, body=body)
            for body in bodies
        ]
        for _ in range(PUTS):
            left = [each for each in left if not self._put(each)]
        if left:
            raise NotQueuedError("receipts not queued")

    def _put(self, arrived: Arrived) -> bool:
        try:
            self._queue.put(arrived)
        except NotQueuedError:
            return False
        return True
