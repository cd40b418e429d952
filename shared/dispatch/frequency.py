"""Duplicates and caps: who has just got the same content, or enough messages of the class, is not sent to.

A message that gets through holds a mark of its content and a slot of its recipient's, under its own id: whoever decides
on it again, be it for a retry, a redelivery or in a second function, finds them and comes to the same, and it counts
once. When it ends unsent they are given back.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from shared.dispatch.plan import Plan, Rendered
from shared.lifecycle.held import Releases, claimants_of
from shared.lifecycle.verdict import row
from shared.model.clock import Clock
from shared.model.events import EventRow
from shared.model.policies import Cap, Policies
from shared.model.reasons import Reason
from shared.model.templates import Template
from shared.model.tenants import Tenant, TenantSettings
from shared.model.words import Stage
from shared.policy.caps import since
from shared.policy.duplicates import digests
from shared.store.caps import Caps
from shared.store.claims import Answer
from shared.store.duplicates import Duplicates
from shared.store.ledger import Entry


class Configured(Protocol):
    """Where it is read what people have configured; seconds old at most."""

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def settings(self, tenant: str) -> TenantSettings: ...

    def template(self, tenant: str, template_id: str) -> Template | None: ...


class Frequency:
    """Duplicates and caps, decided and given back; shared by threads. No request is made where neither is set."""

    def __init__(self, configured: Configured, duplicates: Duplicates, caps: Caps, clock: Clock) -> None:
        self._configured = configured
        self._duplicates = duplicates
        self._caps = caps
        self._clock = clock
        self._releases = Releases(configured, duplicates, caps)

    def admitted(
        self, plan: Plan, pairs: Sequence[Rendered], policies: Policies, zone: Callable[[], str]
    ) -> Sequence[Rendered]:
        """Those that are no duplicates and within the cap; for the others the plan has a row.

        zone: the time zone whose days count. Raises: what the table raises.
        """
        plan.held.at = self._clock.now_ms()
        if pairs and policies.duplicate_seconds:
            pairs = self._distinct(plan, pairs, policies.duplicate_seconds)
        if pairs and policies.cap is not None and policies.cap.count:
            pairs = self._capped(plan, pairs, policies.cap, zone)
        return pairs

    def release(self, plan: Plan, rows: Iterable[EventRow], seen: Entry | None) -> None:
        """Give back what messages hold that ended unsent: see `Releases.release`."""
        self._releases.release(plan.envelope, rows, plan.held, seen)

    def _distinct(self, plan: Plan, pairs: Sequence[Rendered], seconds: int) -> list[Rendered]:
        envelope, held = plan.envelope, plan.held
        tenant = self._configured.tenant(envelope.tenant)
        key = tenant.salt[:64] if tenant is not None else b""
        found = digests([message.content for _, message in pairs], key)
        claims = dict(zip(claimants_of(envelope, [recipient for recipient, _ in pairs]), found, strict=True))
        answers = self._duplicates.take(envelope.tenant, envelope.template, claims, seconds)
        for (recipient, _), digest, answer in zip(pairs, found, answers, strict=True):
            if answer is not Answer.REFUSED:
                held.marks[recipient.index] = digest
            if answer is Answer.TAKEN:
                held.new_marks.add(recipient.index)
        return self._kept(plan, pairs, answers, Stage.DUPLICATE, Reason.DUPLICATE)

    def _capped(self, plan: Plan, pairs: Sequence[Rendered], cap: Cap, zone: Callable[[], str]) -> list[Rendered]:
        envelope, held = plan.envelope, plan.held
        after = since(cap, self._clock.now_ms(), zone() if cap.minutes is None else "UTC")
        of = envelope.tenant, envelope.channel, envelope.message_class
        answers = self._caps.take(of, claimants_of(envelope, [recipient for recipient, _ in pairs]), cap.count, after)
        for (recipient, _), answer in zip(pairs, answers, strict=True):
            if answer is not Answer.REFUSED:
                held.slots.add(recipient.index)
            if answer is Answer.TAKEN:
                held.new_slots.add(recipient.index)
        return self._kept(plan, pairs, answers, Stage.CAPPED, Reason.CAPPED)

    def _kept(
        self, plan: Plan, pairs: Sequence[Rendered], answers: Sequence[Answer], stage: Stage, reason: Reason
    ) -> list[Rendered]:
        kept, now = [], self._clock.now_ms()
        for pair, answer in zip(pairs, answers, strict=True):
            if answer is not Answer.REFUSED:
                kept.append(pair)
                continue
            plan.rows.append(row(plan.envelope, pair[0], stage, now, reason=reason))
        return kept
