"""Reads the mailboxes of all tenants' accounts, several side by side, each within its time.

Of each mailbox in this order: it is claimed, so that nobody else looks into it and a look that breaks off is not
repeated at once; it is read; what was found goes on the queue; only then how far it was read is stored. Whoever breaks
off in between has the same mails read again, and receipts that are repeated change nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from functions.mailboxes.states import after, claimed, is_due, state_for
from shared.aws.receipts import ReceiptQueue
from shared.aws.secrets import SecretError
from shared.base.logs import log_error
from shared.model.accounts import Account, AccountState
from shared.model.clock import Clock
from shared.model.inboxes import InboxProblem, InboxState
from shared.net.network import Network
from shared.providers.mailboxes import Found, MailboxModule, mailbox_of
from shared.store.accounts import AccountStore
from shared.store.catalog_items import CatalogConflictError
from shared.store.inboxes import Inboxes
from shared.store.tenants import TenantStore

logger = Logger(child=True)

LOOK_S = 60.0
"""How long a look into one mailbox may take."""
RESERVE_MS = 20_000
"""Kept back for putting on the queue and storing."""
FAILED_MS = 6 * 3_600_000
"""How long a mailbox must have failed to count as one that has (`functions/mailboxes/function.py`)."""
NO_SECRET = InboxProblem(
    code="secret_missing",
    summary="The account's secret is missing or cannot be read now.",
    action="Give the secret again by changing the account; if it lasts, check the function's rights.",
)


class Secrets(Protocol):
    """Where secrets are read."""

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]: ...


@dataclass(slots=True)
class Looked:
    """What came of all mailboxes."""

    bounces: int = 0
    """Put on the queue."""
    problems: int = 0
    """Mailboxes that cannot be read now."""
    failed: int = 0
    """Those of them that could not be for hours."""
    broken: int = 0
    """Mailboxes whose look broke off in a way that nobody foresaw."""
    left: int = 0
    """Mailboxes for which there was no time; the next run begins with them."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads mailboxes."""

    tenants: TenantStore
    accounts: AccountStore
    inboxes: Inboxes
    secrets: Secrets
    queue: ReceiptQueue
    network: Network
    clock: Clock
    pool: Executor
    """To look into several side by side."""

    def run(self, remaining_ms: Callable[[], int]) -> Looked:
        """Look once into each mailbox that is due. Raises: what listing tenants raises."""
        mailboxes = sorted(self._mailboxes(), key=lambda each: each.known_at)
        looked = Looked()
        for part in self.pool.map(lambda each: self._safely(each, remaining_ms), mailboxes):
            looked.bounces += part.bounces
            looked.problems += part.problems
            looked.failed += part.failed
            looked.broken += part.broken
            looked.left += part.left
        return looked

    def _mailboxes(self) -> Iterator["_Mailbox"]:
        for tenant in self.tenants.list_tenants():
            try:
                found = self.accounts.list_accounts(tenant)
            except Exception as error:  # of any kind: one tenant's trouble does not stop the others
                log_error(logger, "accounts cannot be listed", error, tenant=tenant)
                continue
            for account in found:
                yield from self._of(account)

    def _of(self, account: Account) -> Iterator["_Mailbox"]:
        if account.state is not AccountState.ACTIVE:
            return
        try:
            named = mailbox_of(account)
            if named is None:
                return
            stored = self.inboxes.inbox(account.tenant, account.id)
        except Exception as error:  # of any kind: one account's trouble does not stop the others
            log_error(logger, "what is known of a mailbox cannot be read", error, account=account.id)
            return
        known = None if stored is None else stored.value
        yield _Mailbox(account, *named, state_for(account, named[1], known), None if stored is None else stored.rev)

    def _safely(self, mailbox: "_Mailbox", remaining_ms: Callable[[], int]) -> Looked:
        try:
            return self._look(mailbox, remaining_ms)
        except CatalogConflictError:
            # Another run looks into it.
            return Looked()
        except Exception as error:  # of any kind: one mailbox's trouble does not stop the others
            log_error(logger, "a look into a mailbox broke off", error, account=mailbox.account.id)
            return Looked(broken=1, problems=1)

    def _look(self, mailbox: "_Mailbox", remaining_ms: Callable[[], int]) -> Looked:
        state, account, now = mailbox.state, mailbox.account, self.clock.now_ms()
        if not is_due(state, now):
            return _in_trouble(state, now)
        seconds = min(LOOK_S, (remaining_ms() - RESERVE_MS) / 1000)
        if seconds < LOOK_S / 4:
            return Looked(left=1)
        rev = self.inboxes.save(account.tenant, account.id, claimed(state, now), mailbox.rev)
        found = self._found(mailbox, now, seconds)
        self.queue.put_all(found.receipts)
        state = after(claimed(state, now), found, self.clock.now_ms())
        self.inboxes.save(account.tenant, account.id, state, rev)
        looked = _in_trouble(state, self.clock.now_ms())
        looked.bounces = len(found.receipts)
        return looked

    def _found(self, mailbox: "_Mailbox", now: int, seconds: float) -> Found:
        account, place = mailbox.account, mailbox.state.place
        try:
            secret: Mapping[str, Any] = self.secrets.get(account.tenant, account.id, account.secret_version)
        except SecretError as error:
            log_error(logger, "a secret cannot be read", error, account=account.id)
            return Found(place=place, problem=NO_SECRET)
        return mailbox.module.look(account, secret, place, self.network, now, seconds)


@dataclass(frozen=True, slots=True)
class _Mailbox:
    """A mailbox that an account names."""

    account: Account
    module: MailboxModule
    where: str
    state: InboxState
    rev: int | None

    @property
    def known_at(self) -> int:
        """When it was last read: who waits longest is first."""
        return self.state.looked_at or 0


def _in_trouble(state: InboxState, now: int) -> Looked:
    since = state.failing_since
    if since is None:
        return Looked()
    return Looked(problems=1, failed=int(now - since >= FAILED_MS))
