"""Rates of accounts: messages get their places, and who would have to wait here for long leaves the plan.

Places are taken once for all envelopes of a batch. What can go within seconds is sent by this function, each message at
its time. The others are carried on by envelopes that come shortly before their places, which they keep.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct, field
from msgspec.structs import replace

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.dispatch import recipient_limits
from shared.dispatch.plan import Call, Plan
from shared.dispatch.recipient_limits import within_limits
from shared.dispatch.waiting import EARLY_MS, PATIENCE_MS, place_of, wait
from shared.lifecycle.verdict import put_off
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.reasons import Reason
from shared.model.words import MessageClass
from shared.policy.rates import Lanes, lanes_of
from shared.providers.declared import rate_of
from shared.store.rates import Places

logger = Logger(child=True)

SPAN_MS = 10_000
"""Those whose places are within this time after that of the first who waits go on by one envelope."""
GAP_MS = 3_000
"""How long no places are taken between what is sent here and what waits: its envelope is queued when all is sent."""


class Store(recipient_limits.Store, Protocol):
    """Where places are taken."""

    def reserve(
        self, tenant: str, account: str, lanes: Lanes, wanted: int, until: int | None, codes: bool, after: int = 0
    ) -> Places: ...


class _Share(Struct):
    """The calls of one plan through one account."""

    plan: Plan
    account: Account
    lanes: Lanes
    calls: list[Call] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """When they may go, as far as there are places, in milliseconds since the epoch."""
    ready: int = 0
    """When the rest may ask again, in milliseconds since the epoch."""
    patience: int = PATIENCE_MS
    """How long to wait for them here, in milliseconds."""

    @property
    def codes(self) -> bool:
        """Whether these are codes."""
        return self.plan.envelope.message_class is MessageClass.VERIFICATION

    @property
    def burst(self) -> int:
        """How many messages may go at once, from whichever lane their places are."""
        main, code = self.lanes.main, self.lanes.code
        return main.burst if code is None or not self.codes else min(main.burst, code.burst)

    @property
    def interval(self) -> int:
        """How far apart those are that wait together, in microseconds. Codes have places in either lane, so only those
        wait together that have the same one."""
        return 0 if self.codes else self.lanes.main.interval

    def costs(self) -> list[int]:
        """How many places each call takes."""
        return [1 if call.provider.counts_calls else len(call.recipients) for call in self.calls]


class Rates:
    """Paces plans; shared by threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def pace(self, plans: Sequence[Plan]) -> set[str]:
        """Give calls that have no time yet theirs; who is to wait gets a row instead.

        Asks nothing where there is no rate or limit. Returns the ids of the envelopes of which nothing may be sent,
        since there was no answer.
        """
        fresh = {plan.envelope.id: [c for c in plan.calls if c.tried is None and not c.not_before] for plan in plans}
        shares = {plan.envelope.id: _shares(plan, fresh[plan.envelope.id]) for plan in plans}
        asking: dict[tuple[str, str, bool], list[_Share]] = {}
        for share in (share for found in shares.values() for share in found):
            if not self._keep(share):
                asking.setdefault((share.account.tenant, share.account.id, share.codes), []).append(share)
        failed: set[str] = set()
        for together in asking.values():
            try:
                self._take(together)
            except AWS_ERRORS as error:
                log_error(logger, "no places in a rate", error, account=together[0].account.id)
                failed |= {share.plan.envelope.id for share in together}
        for plan in plans:
            id = plan.envelope.id
            if id not in failed and fresh[id] and not self._settle(plan, fresh[id], shares[id]):
                failed.add(id)
        return failed

    def _settle(self, plan: Plan, fresh: Sequence[Call], shares: Sequence[_Share]) -> bool:
        """Carry out what was found for a plan; False if the limits of its recipients could not be asked."""
        now, rated = self._clock.now_ms(), {share.account.id for share in shares}
        if not rated and all(call.provider.recipient_lane is None for call in fresh):
            return True
        free = [call for call in fresh if call.account.id not in rated]
        paced = [call for share in shares for call in _divided(share, now)]
        try:
            found = within_limits(plan, free + paced, self._store, self._clock)
        except AWS_ERRORS as error:
            log_error(logger, "no places for recipients", error, envelope=plan.envelope.id)
            return False
        old = [call for call in plan.calls if call.tried is not None or call.not_before]
        plan.calls = deque(sorted(old + found, key=lambda call: call.not_before))
        return True

    def _keep(self, share: _Share) -> bool:
        """Use the places with which the envelope came, if it did so in time."""
        now = self._clock.now_ms()
        place = place_of(share.plan, Reason.RATE_LIMITED, share.account.id, now)
        if place is None:
            return False
        costs = share.costs()
        behind = [(at - costs[0]) * share.interval for at in accumulate(costs)]
        share.starts = [max(place, now) + -(-each // 1000) for each in behind]
        share.patience = EARLY_MS + SPAN_MS if place <= now + EARLY_MS else -1
        return True

    def _take(self, shares: Sequence[_Share]) -> None:
        """Take places of an account for all its calls in the batch, and hand them out in order."""
        account, ends = shares[0].account, [share.plan.envelope.expires_at for share in shares]
        until = None if None in ends else max(end for end in ends if end is not None)
        wanted = sum(sum(share.costs()) for share in shares)
        of, codes, soon = (account.tenant, account.id, shares[0].lanes), shares[0].codes, self._soon()
        found = self._store.reserve(*of, wanted, soon if until is None else min(soon, until), codes)
        starts, ready = found.starts, found.ready
        if len(starts) < wanted:
            after = soon + GAP_MS if starts else 0
            found = self._store.reserve(*of, wanted - len(starts), until, codes, after)
            starts, ready = starts + found.starts, found.ready
        at = 0
        for share in shares:
            share.ready = ready
            for cost in share.costs():
                at += cost
                if at <= len(starts):
                    # A call goes with its last message.
                    share.starts.append(max(starts[at - cost : at]))

    def _soon(self) -> int:
        """Until when something that is to go is waited for here."""
        return self._clock.now_ms() + PATIENCE_MS


def _shares(plan: Plan, calls: Sequence[Call]) -> list[_Share]:
    """The calls whose account has a rate, by account; none with more messages than may go at once."""
    shares: dict[str, _Share | None] = {}
    for call in calls:
        if call.account.id not in shares:
            rate, _ = rate_of(call.account)
            shares[call.account.id] = None if rate is None else _Share(plan, call.account, lanes_of(rate))
        share = shares[call.account.id]
        if share is not None:
            share.calls += [call] if call.provider.counts_calls else _cut(call, share.burst)
    return [share for share in shares.values() if share is not None]


def _cut(call: Call, most: int) -> Iterator[Call]:
    for at in range(0, len(call.recipients), most):
        end = at + most
        yield replace(call, messages=call.messages[at:end], recipients=call.recipients[at:end])


def _divided(share: _Share, now: int) -> list[Call]:
    """The calls that are made here, each with its time; whoever is in another one waits."""
    plan, account, expires = share.plan, share.account, share.plan.envelope.expires_at
    here: list[Call] = []
    place = 0
    for call, start in zip(share.calls, share.starts, strict=False):
        if start <= now + share.patience and (expires is None or start < expires):
            here.append(replace(call, not_before=start))
            continue
        if start > place + (0 if share.codes else SPAN_MS):
            place = start
        for recipient in call.recipients:
            wait(plan, recipient, Reason.RATE_LIMITED, account.id, place, start, now)
    for call in share.calls[len(share.starts) :]:
        # The day's are used up, or theirs would come too late: they keep none.
        for recipient in call.recipients:
            plan.rows.append(
                put_off(plan.envelope, recipient, Reason.RATE_LIMITED, max(share.ready, now + 1), now, account.id)
            )
    return here
