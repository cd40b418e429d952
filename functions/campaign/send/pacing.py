"""How fast a run goes: by its own throttle, and never far ahead of what its accounts can send.

What is queued takes places in the rates of its accounts, before whatever comes next; so a run queues no faster than
they send, and waits while their next places are far ahead, whoever took those before them. At its own pace it queues
slices evenly, and in no minute more than a minute's: any number of chains keep to it with one write each. Of an account
nothing is taken here: dispatch does that, message by message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.model.accounts import Account, AccountState
from shared.model.clock import Clock
from shared.model.runs import Run
from shared.model.words import KeyKind
from shared.policy.rates import Lanes, lanes_of
from shared.policy.resolve import resolve
from shared.providers.declared import rate_of
from shared.store.catalog import Catalog

AHEAD_MS = 5_000
"""How far before its share of time a slice may go, so that nothing is lost while it is awaited."""
LOOKAHEAD_MS = 30_000
"""How far ahead an account's next free place may be while more is queued."""
SLICE_S = 10
"""A slice has at most the messages of so many seconds, but for a block, which is never parted."""
MINUTE_US = 60_000_000


class Store(Protocol):
    """Where places are taken and looked at; see `shared.store.rates.Rates`."""

    def pace(self, tenant: str, run: str, messages: int, per_minute: float, ahead: int) -> int | None: ...

    def next_free(self, tenant: str, account: str, lanes: Lanes) -> int: ...


@dataclass(frozen=True, slots=True)
class Pacer:
    """Says when the next slice of a run may go."""

    lanes: Store
    catalog: Catalog
    clock: Clock

    def accounts_ready(self, run: Run) -> int | None:
        """When the accounts of a run can take more, in milliseconds since the epoch; None for now.

        The slowest counts: each gets its share of the messages, whatever the others do. Raises: what the stores raise.
        """
        if run.kind is KeyKind.TEST:
            return None
        free = [self.lanes.next_free(run.tenant, account.id, lanes) for account, lanes in _rated(self._shares(run))]
        latest = max(free, default=0) - LOOKAHEAD_MS
        return latest if latest > self.clock.now_ms() else None

    def per_minute(self, run: Run) -> float | None:
        """How many messages of a run may be queued in a minute; None for as many as can be."""
        bounds = [] if run.throttle is None else [float(run.throttle)]
        if run.kind is not KeyKind.TEST:
            shares = self._shares(run)
            for account, lanes in _rated(shares):
                bounds.append(MINUTE_US / lanes.main.interval / shares[account.id][1])
        return min(bounds, default=None)

    def place(self, run: Run, messages: int) -> int | None:
        """Note that so many messages of a run go now, if they may (None); else when to ask again, in milliseconds since
        the epoch.

        Raises: what the store raises.
        """
        rate = self.per_minute(run)
        if rate is None or not messages:
            return None
        return self.lanes.pace(run.tenant, run.id, messages, rate, AHEAD_MS)

    def rows(self, run: Run, most: int) -> int:
        """How many rows a slice has, at most and in whole blocks."""
        rate = self.per_minute(run)
        if rate is not None:
            most = min(most, int(rate * SLICE_S / 60))
        return max(1, most // run.block) * run.block

    def _shares(self, run: Run) -> dict[str, tuple[Account, float]]:
        """The accounts that a run's messages go through, each with its share of them, by id."""
        found: dict[str, tuple[Account, float]] = {}
        total = sum(variant.weight for variant in run.variants)
        for variant in run.variants:
            for account, share in self._chosen(run, variant.template):
                before = found[account.id][1] if account.id in found else 0.0
                found[account.id] = account, before + share * variant.weight / total
        return found

    def _chosen(self, run: Run, name: str) -> list[tuple[Account, float]]:
        template = self.catalog.template(run.tenant, name)
        if template is None:
            return []
        weights = resolve(self.catalog.settings(run.tenant), template, run.channel, run.message_class).weights or {}
        accounts = [self.catalog.account(run.tenant, id) for id in template.accounts]
        active = [a for a in accounts if a is not None and a.state is AccountState.ACTIVE]
        weighed = [(a, float(weights.get(a.id, a.weight))) for a in active]
        # As routing has it: those without weight only if there is no other.
        chosen = [each for each in weighed if each[1] > 0] or [(a, 1.0) for a in active]
        total = sum(weight for _, weight in chosen)
        return [(account, weight / total) for account, weight in chosen]


def _rated(shares: Mapping[str, tuple[Account, float]]) -> list[tuple[Account, Lanes]]:
    """Those accounts that have a rate."""
    return [(account, lanes_of(rate)) for account, _ in shares.values() if (rate := rate_of(account)[0]) is not None]
