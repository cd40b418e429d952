"""Which account sends a message, and the kept provider of each account."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from shared.model.accounts import Account, AccountState
from shared.model.clock import Clock
from shared.providers.base import Provider, TokenCache, Tools
from shared.providers.registry import build_provider


class AccountSource(Protocol):
    """Where accounts are read."""

    def account(self, tenant: str, account_id: str) -> Account | None: ...


class SecretSource(Protocol):
    """Where secrets are read. version: the account's `secret_version`, so that a changed secret is read anew."""

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]: ...


class Accounts:
    """Active accounts with their providers, kept across invocations until the account changes."""

    def __init__(self, catalog: AccountSource, secrets: SecretSource, tokens: TokenCache, clock: Clock) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._tokens = tokens
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[int, Provider]] = {}

    def active(self, tenant: str, account_ids: Iterable[str], avoid: Sequence[str]) -> list[Account]:
        """The accounts that may send now; those to avoid only if there is no other."""
        found = [a for i in account_ids if (a := self._catalog.account(tenant, i)) and a.state is AccountState.ACTIVE]
        return [a for a in found if a.id not in avoid] or found

    def find(self, tenant: str, account_id: str) -> Account | None:
        """An account in any state."""
        return self._catalog.account(tenant, account_id)

    def provider(self, account: Account) -> Provider:
        """The kept provider of an account.

        Raises: what reading the secret or building the provider raises, such as settings that do not fit.
        """
        key = (account.tenant, account.id)
        with self._lock:
            kept = self._kept.get(key)
            if kept and kept[0] == account.updated_at:
                return kept[1]
            secret = self._secrets.get(account.tenant, account.id, account.secret_version)
            settings: Mapping[str, Any] = account.settings
            tools = Tools(self._clock, self._tokens, f"{account.tenant}/{account.id}")
            provider = build_provider({**settings, "provider": account.provider}, secret, tools)
            if kept:
                kept[1].close()
            self._kept[key] = (account.updated_at, provider)
            return provider


def choose(accounts: Sequence[Account], tag: str) -> Account:
    """Pick an account by weight, always the same for the same recipient.

    Rendezvous hashing: a change of one weight or account moves only the share that it must.
    """
    if len(accounts) == 1:
        return accounts[0]
    weighed = [a for a in accounts if a.weight > 0] or list(accounts)
    return max(weighed, key=lambda a: _score(a.id, tag, max(a.weight, 1)))


def _score(account_id: str, tag: str, weight: int) -> float:
    digest = blake2b(f"{account_id}\x1f{tag}".encode(), digest_size=8).digest()
    # u is uniform in (0, 1); u ** (1 / weight) makes the greatest score fall to each in proportion to its weight.
    u = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return float(u ** (1 / weight))
