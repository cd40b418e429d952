"""Which account sends a message, and the kept provider of each account."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import log
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.base.logs import log_error
from shared.model.accounts import Account, AccountState
from shared.model.clock import Clock
from shared.net.network import PUBLIC, Network
from shared.providers.base import Provider, TokenCache, Tools
from shared.providers.registry import build_provider

logger = Logger(child=True)


class AccountSource(Protocol):
    """Where accounts are read."""

    def account(self, tenant: str, account_id: str) -> Account | None: ...


class SecretSource(Protocol):
    """Where secrets are read. version: the account's `secret_version`, so that a changed secret is read anew."""

    def get(self, tenant: str, account_id: str, version: int) -> dict[str, Any]: ...


class Accounts:
    """Active accounts with their providers, kept across invocations until the account changes."""

    def __init__(
        self,
        catalog: AccountSource,
        secrets: SecretSource,
        tokens: TokenCache,
        clock: Clock,
        network: Network = PUBLIC,
        deployment: str = "",
    ) -> None:
        self._catalog = catalog
        self._secrets = secrets
        self._tokens = tokens
        self._clock = clock
        self._network = network
        self._deployment = deployment
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
            tools = Tools(self._clock, self._tokens, f"{account.tenant}/{account.id}", self._network, self._deployment)
            provider = build_provider({**settings, "provider": account.provider}, secret, tools)
            if kept:
                kept[1].close()
            self._kept[key] = (account.updated_at, provider)
            return provider

    def usable(self, account: Account) -> Provider | None:
        """The kept provider of an account; None if it cannot be built."""
        try:
            return self.provider(account)
        except Exception as error:  # a broken account must not sink the envelopes of others
            log_error(logger, "account cannot be used", error, account=account.id)
            return None


class Route(Struct, frozen=True):
    """The accounts that may send an envelope's messages, each with its weight after what health takes away."""

    accounts: Mapping[str, Account]
    weights: Mapping[str, float]
    configured: Mapping[str, float] = {}
    """Their weights as people set them, if there are several."""
    down: frozenset[str] = frozenset()
    """Those that were found down a moment ago, which are only asked if there is no other."""

    def share(self, account: str) -> tuple[int, int] | None:
        """An account's part of all messages in percent: as it is, and as people set it; None if it is the only one."""
        if account not in self.configured:
            return None
        return _percent(self.weights, account), _percent(self.configured, account)

    def first(self, seed: str) -> tuple[Account, str | None]:
        """The account for a message, and the one that would have sent it if that were not down."""
        if len(self.accounts) == 1:
            return next(iter(self.accounts.values())), None
        chosen = self._choose(self.accounts, seed)
        if chosen not in self.down or self.down >= self.accounts.keys():
            return self.accounts[chosen], None
        return self.accounts[self._choose(self.accounts.keys() - self.down, seed)], chosen

    def others(self, seed: str, been: Iterable[str]) -> list[Account]:
        """The accounts that a message has not been through and that are not down, in the order to ask them."""
        left = self.accounts.keys() - {*been} - self.down
        found = []
        while left:
            found.append(self._choose(left, seed))
            left = left - {found[-1]}
        return [self.accounts[account] for account in found]

    def _choose(self, among: Iterable[str], seed: str) -> str:
        return choose({account: self.weights[account] for account in among}, seed)


def _percent(weights: Mapping[str, float], account: str) -> int:
    return round(100 * weights[account] / (sum(weights.values()) or 1))


def choose(weights: Mapping[str, float], seed: str) -> str:
    """Pick an account by weight, always the same for the same seed; those without weight only if there is no other.

    Rendezvous hashing: a change of one weight or account moves only the share that it must.
    """
    weighed = {account: weight for account, weight in weights.items() if weight > 0} or dict.fromkeys(weights, 1.0)
    return max(weighed, key=lambda account: _score(account, seed, weighed[account]))


def _score(account_id: str, seed: str, weight: float) -> float:
    digest = blake2b(f"{account_id}\x1f{seed}".encode(), digest_size=8).digest()
    # u is uniform in (0, 1); u ** (1 / weight) makes the greatest score fall to each in proportion to its weight.
    # Its logarithm orders alike, and stays apart where weights are small.
    u = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return log(u) / weight
