"""Counts, once a day, the messages of yesterday that were sent and of which nothing was reported, by account."""

from collections import Counter
from dataclasses import dataclass

from shared.model.accounts import Account
from shared.store.accounts import AccountStore
from shared.store.counters import HOUR_MS, Counters, account_scope, unreported

DAY_MS = 24 * HOUR_MS
SETTLED_MS = 6 * HOUR_MS
"""How long after the end of a day (UTC) it is looked at: by then most receipts have come."""


@dataclass(frozen=True, slots=True)
class Unreported:
    """Counts by the counters, which are exact."""

    accounts: AccountStore
    counters: Counters

    def count(self, tenant: str, now: int) -> dict[str, int]:
        """`<tenant>/<account>` -> messages, of accounts whose providers say of each message whether it arrived."""
        first = (now // DAY_MS - 1) * 24
        return {
            f"{tenant}/{account.id}": unreported(self._day(account, first))
            for account in self.accounts.list_accounts(tenant)
            if tells(account)
        }

    def _day(self, account: Account, first_hour: int) -> Counter[str]:
        total: Counter[str] = Counter()
        scope = account_scope(account.tenant, account.id)
        for counts in self.counters.read(scope, first_hour, first_hour + 23).values():
            total.update(counts)
        return total


def is_due(now: int, last: int | None) -> bool:
    """Whether a day has settled since the last sweep. now, last: in milliseconds since the epoch."""
    return last is not None and (now - SETTLED_MS) // DAY_MS != (last - SETTLED_MS) // DAY_MS


def tells(account: Account) -> bool:
    """Whether an account's provider says of each message whether it arrived: mail servers say it of failures alone."""
    # What vendors declare takes as long to import as much else here, and few ask for it.
    from shared.providers.table import PROVIDERS

    spec = PROVIDERS.get(account.provider)
    return spec is not None and spec.receipts and not spec.sent_is_final and not spec.failures_alone
