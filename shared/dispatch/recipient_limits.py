"""Limits per recipient: who has had too many messages through an account within a short time waits.

Some providers drop what is too much without a word (WeCom apps), so nothing may come near to it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec.structs import replace

from shared.dispatch.plan import Call, Plan
from shared.dispatch.waiting import EARLY_MS, place_of, wait
from shared.model.clock import Clock
from shared.model.envelope import EnvelopeRecipient
from shared.model.reasons import Reason
from shared.policy.rates import Lane
from shared.store.rates import Places


class Store(Protocol):
    """Where places of recipients are taken."""

    def admit(
        self, tenant: str, account: str, lane: Lane, wanted: Mapping[str, int], until: int | None
    ) -> dict[str, Places]: ...


def within_limits(plan: Plan, calls: Sequence[Call], store: Store, clock: Clock) -> list[Call]:
    """The calls without those recipients to whom no more may be sent now; they wait. Raises: what the store raises."""
    by_account: dict[str, list[Call]] = {}
    kept = []
    for call in calls:
        if call.provider.recipient_lane is None:
            kept.append(call)
        else:
            by_account.setdefault(call.account.id, []).append(call)
    for found in by_account.values():
        kept += _within_limits(plan, found, store, clock)
    return kept


def _within_limits(plan: Plan, calls: list[Call], store: Store, clock: Clock) -> list[Call]:
    """The same for the calls of one account."""
    account, provider, now = calls[0].account, calls[0].provider, clock.now_ms()
    recipients = [r for call in calls for r in call.recipients if provider.limits(r.address)]
    if provider.recipient_lane is None or not recipients:
        return calls
    held = place_of(plan, Reason.RECIPIENT_LIMIT, account.id, now)
    if held is None:
        places = _places(plan, account.id, provider.recipient_lane, recipients, store)
    elif held <= now + EARLY_MS:
        return [replace(call, not_before=max(call.not_before, held)) for call in calls]
    else:
        places = [held] * len(recipients)
    now = clock.now_ms()
    waiting = {r.index: (r, place) for r, place in zip(recipients, places, strict=True) if place > now}
    for recipient, place in waiting.values():
        # To the second, so that those who wait about as long go on together.
        second = -(-place // 1000) * 1000
        wait(plan, recipient, Reason.RECIPIENT_LIMIT, account.id, second, second, now)
    left = [found for call in calls if (found := call.without(waiting)) is not None]
    return [replace(call, not_before=max(call.not_before, now)) for call in left]


def _places(plan: Plan, account: str, lane: Lane, recipients: Sequence[EnvelopeRecipient], store: Store) -> list[int]:
    """When each of the recipients may be sent to, in milliseconds since the epoch."""
    wanted: dict[str, int] = {}
    for recipient in recipients:
        wanted[recipient.tag] = wanted.get(recipient.tag, 0) + 1
    envelope = plan.envelope
    found = store.admit(envelope.tenant, account, lane, wanted, envelope.expires_at)
    starts = {tag: iter(places.starts) for tag, places in found.items()}
    return [next(starts[r.tag], found[r.tag].ready) for r in recipients]
