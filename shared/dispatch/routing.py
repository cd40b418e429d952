"""Routing: which account sends a message, and which one instead while an account is down.

Weights decide, the same message always alike; health takes weight away from accounts whose tries go wrong and gives it
back. Only a template with several accounts costs a request, and only once in ten seconds.
"""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec.structs import replace

from shared.base.cache import TtlCache
from shared.base.logs import log_error
from shared.dispatch.accounts import Accounts, Route
from shared.dispatch.plan import Plan, Rendered, calls_of, in_time
from shared.model.accounts import Account
from shared.model.audit import AuditRecord, record_change
from shared.model.clock import Clock
from shared.model.events import EventRow, PassedOver
from shared.model.reasons import Blame, Reason, blame_of
from shared.model.words import Stage
from shared.policy import conversion
from shared.policy.conversion import CountryShifts
from shared.policy.routing import FULL, Buckets, Shift, next_shift
from shared.providers.base import Outgoing, Provider
from shared.providers.declared import check
from shared.store.catalog_items import CatalogConflictError, Stored
from shared.store.health import ROUTING

logger = Logger(child=True)

CACHE_SECONDS = 10
CONVERSION_SECONDS = 60
"""What is said of codes by five minutes need not be looked at more often."""
DOWN_MS = 30_000
"""How long a process remembers that an account was down."""
MAX_ACCOUNTS = 1000


class Health(Protocol):
    """Where it is read how accounts do, and kept what follows from it."""

    def last_shift(self, tenant: str, account: str) -> Stored[Shift] | None: ...

    def buckets(self, tenant: str, account: str, now: int) -> Buckets: ...

    def shift(self, tenant: str, account: str, shift: Shift, over: int | None, record: AuditRecord) -> None: ...

    def country_shifts(self, tenant: str, country: str) -> Stored[CountryShifts] | None: ...

    def codes(self, tenant: str, country: str, now: int) -> conversion.Buckets: ...

    def shift_country(
        self, tenant: str, country: str, shifts: CountryShifts, over: int | None, record: AuditRecord
    ) -> None: ...


class Routing:
    """Weighs accounts by their health, and remembers which were down; one per process, shared by threads."""

    def __init__(self, accounts: Accounts, health: Health, clock: Clock) -> None:
        self._accounts = accounts
        self._health = health
        self._clock = clock
        self._factors: TtlCache[float] = TtlCache(clock, CACHE_SECONDS, MAX_ACCOUNTS, CACHE_SECONDS)
        self._by_country: TtlCache[dict[str, float]] = TtlCache(
            clock, CONVERSION_SECONDS, MAX_ACCOUNTS, CONVERSION_SECONDS
        )
        self._reading = threading.Lock()
        self._down: dict[tuple[str, str], int] = {}

    def route(
        self,
        tenant: str,
        accounts: Sequence[Account],
        weights: Mapping[str, int] | None,
        country: str | None = None,
    ) -> Route:
        """How an envelope's messages may go. weights: over the accounts' own. country: to which it carries a code, if
        that is to go by how many codes are entered there.

        Raises: nothing; where health cannot be read it goes by the weights alone.
        """
        by_id = {account.id: account for account in accounts}
        shares: dict[str, float] = {id: (weights or {}).get(id, account.weight) for id, account in by_id.items()}
        if len(by_id) < 2:
            return Route(by_id, shares)
        configured = shares
        with self._reading:
            shares = {id: share * self._factor(tenant, id) for id, share in shares.items()}
            entered = {} if country is None else self._entered(tenant, country)
        shares = {id: share * entered.get(id, FULL.factor) for id, share in shares.items()}
        now = self._clock.now_ms()
        down = frozenset(id for id in by_id if self._down.get((tenant, id), 0) > now)
        return Route(by_id, shares, configured, down)

    def failover(
        self, plan: Plan, pairs: Iterable[Rendered], rows: Sequence[EventRow], remaining_s: float = inf
    ) -> list[EventRow]:
        """Plan calls by other accounts for who met one that is down or refused them for a fault of its own, and for who
        is still to go through one that is down.

        pairs: what was sent just now; rows: what became of it. Only what certainly was not sent goes by another
        account: an unknown outcome stands. Returns the rows that stand; the plan notes which accounts were passed over.
        """
        met = {row.index: row for row in rows if row.account is not None and _of_the_account(row)}
        if not met or plan.route is None or len(plan.route.accounts) < 2:
            return list(rows)
        gone = {row.account for row in met.values() if row.account_down and row.account}
        self.note_down(plan.envelope.tenant, gone)
        plan.route = replace(plan.route, down=plan.route.down | gone)
        moved: dict[str, tuple[Account, Provider, list[Rendered]]] = {}
        for pair, passed in _stranded(plan, pairs, met, gone):
            over = (*plan.over.get(pair[0].index, ()), passed)
            other = self._other(plan, plan.route, pair[1], {each[0] for each in over}, remaining_s)
            if other is not None:
                plan.over[pair[0].index] = over
                moved.setdefault(other[0].id, (*other, []))[2].append(pair)
        done = {recipient.index for _, _, found in moved.values() for recipient, _ in found}
        later = [left for call in plan.calls if (left := call.without(done)) is not None]
        plan.calls = deque([call for each in moved.values() for call in calls_of(*each)] + later)
        return [row for row in rows if row.index not in done]

    def _other(
        self, plan: Plan, route: Route, message: Outgoing, been: set[str], remaining_s: float
    ) -> tuple[Account, Provider] | None:
        """Another account that can take a message now."""
        for account in route.others(message.message_id, been):
            provider = self._accounts.usable(account)
            if provider is None or not in_time(provider, remaining_s):
                continue
            if not check(message.content, account.provider, plan.envelope.message_class):
                return account, provider
        return None

    def note_down(self, tenant: str, accounts: Iterable[str]) -> None:
        """Remember for a while that accounts are down."""
        until = self._clock.now_ms() + DOWN_MS
        self._down.update({(tenant, account): until for account in accounts})

    def _factor(self, tenant: str, account: str) -> float:
        """The share of its weight that an account has."""

        def load() -> float:
            try:
                return self._current(tenant, account).factor
            except Exception as error:  # what cannot be read must stop no message
                log_error(logger, "health cannot be read", error, account=account)
                return FULL.factor

        found = self._factors.get(f"{tenant}#{account}", load)
        return FULL.factor if found is None else found

    def _entered(self, tenant: str, country: str) -> dict[str, float]:
        """The share of its weight that each account has for codes to a country."""

        def load() -> dict[str, float]:
            try:
                return self._country(tenant, country).factors()
            except Exception as error:  # what cannot be read must stop no message
                log_error(logger, "conversion cannot be read", error, country=country)
                return {}

        return self._by_country.get(f"{tenant}#{country}", load) or {}

    def _country(self, tenant: str, country: str) -> CountryShifts:
        """The last shifts for a country, after one that is due now. Raises: what the table raises."""
        now = self._clock.now_ms()
        stored = self._health.country_shifts(tenant, country)
        last = CountryShifts() if stored is None else stored.value
        due = conversion.due_shift(last, self._health.codes(tenant, country, now), now, country)
        if due is None:
            return last
        account, shift = due
        was = last.accounts.get(account, conversion.FULL)
        before, after = ({"country": country, **each.model_dump(exclude={"since"})} for each in (was, shift))
        record = record_change(now, tenant, ROUTING, "shift_conversion", f"account/{account}", before, after)
        shifts = CountryShifts(accounts={**last.accounts, account: shift})
        try:
            self._health.shift_country(tenant, country, shifts, None if stored is None else stored.rev, record)
        except CatalogConflictError:
            # Another process was faster.
            found = self._health.country_shifts(tenant, country)
            return last if found is None else found.value
        logger.info("weight shifted", account=account, country=country, factor=shift.factor, why=shift.reason)
        return shifts

    def _current(self, tenant: str, account: str) -> Shift:
        """An account's last shift, after the one that is due now if there is one. Raises: what the table raises."""
        now = self._clock.now_ms()
        stored = self._health.last_shift(tenant, account)
        last = FULL if stored is None else stored.value
        due = next_shift(last.factor, last.since, self._health.buckets(tenant, account, now), now)
        if due is None:
            return last
        before, after = (shift.model_dump(mode="json", exclude={"since"}) for shift in (last, due))
        record = record_change(now, tenant, ROUTING, "shift_weight", f"account/{account}", before, after)
        try:
            self._health.shift(tenant, account, due, None if stored is None else stored.rev, record)
        except CatalogConflictError:
            # Another process was faster.
            found = self._health.last_shift(tenant, account)
            return last if found is None else found.value
        logger.info("weight shifted", account=account, factor=due.factor, why=due.reason)
        return due


def _of_the_account(row: EventRow) -> bool:
    """Whether a message was certainly not sent, and its account is to blame."""
    refused = row.stage == Stage.FAILED and blame_of(row.reason) is Blame.ACCOUNT
    return refused or row.account_down


def _stranded(
    plan: Plan, pairs: Iterable[Rendered], met: Mapping[int, EventRow], gone: set[str]
) -> Iterator[tuple[Rendered, PassedOver]]:
    """Who met an account that is down, and who is still to go through it; with what is to be told of that account."""
    for pair in pairs:
        row = met.get(pair[0].index)
        if row is not None:
            yield pair, (row.account or "", row.reason or "", row.code or "")
    for call in plan.calls:
        if call.account.id in gone and call.tried is None:
            for pair in call.pairs():
                yield pair, (call.account.id, Reason.AVOIDED.value, "")
