"""Decides what is to be sent of an envelope: takes recipients through the policies, renders, and groups the calls.

The steps, in this order: expired, the state of its run, suppressed, quiet hours, duplicates, caps, the account. Each
gives a recipient a row, which ends its way in this envelope, or passes it on.
"""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from shared.acceptance.sendable import beyond
from shared.dispatch.accounts import Accounts
from shared.dispatch.attachments import Files, with_files
from shared.dispatch.filling import Filling
from shared.dispatch.frequency import Frequency
from shared.dispatch.plan import Call, Plan, Rendered, calls_of
from shared.dispatch.quiet_hours import awake
from shared.dispatch.routing import Routing
from shared.dispatch.runs import Runs
from shared.dispatch.suppression import Suppressions, unstopped
from shared.errors import NotFoundError
from shared.lifecycle.verdict import GENERATION, Via, failed, judge, judge_look_up, row
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.outcome import AccountDown, Outcome, Unknown
from shared.model.reasons import Reason
from shared.model.templates import Template, TemplateVersion
from shared.model.tenants import Tenant, TenantSettings
from shared.model.words import KeyKind, Stage
from shared.policy import simulation
from shared.policy.resolve import resolve
from shared.rendering.render import Compiled, TemplateError, compile_content
from shared.store.ledger import Entry


class Configured(Protocol):
    """Where it is read what people have configured; seconds old at most."""

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def settings(self, tenant: str) -> TenantSettings: ...

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion | None: ...


class TemplateGoneError(NotFoundError):
    """The envelope names a template version that is not there."""


class Planner:
    """Plans the calls of one channel's envelopes. files: None for a channel that carries none."""

    def __init__(
        self,
        configured: Configured,
        runs: Runs,
        accounts: Accounts,
        suppressions: Suppressions,
        frequency: Frequency,
        routing: Routing,
        clock: Clock,
        files: Files | None = None,
    ) -> None:
        self._configured = configured
        self._runs = runs
        self._accounts = accounts
        self._suppressions = suppressions
        self._frequency = frequency
        self._routing = routing
        self._clock = clock
        self._files = files
        self._compiled: Callable[[str, str, int], Compiled] = lru_cache(256)(self._compile)

    def plan(self, envelope: Envelope) -> Plan:
        """Decide for each recipient: a row, or a place in a call. Sends nothing.

        Raises: TemplateGoneError; what reading the configuration, the run, the suppression list and attached files
        raises.
        """
        plan = Plan(envelope)
        recipients = self._runs.admitted(plan, self._unexpired(plan))
        recipients = unstopped(plan, recipients, self._suppressions, self._clock.now_ms())
        if not recipients:
            return plan
        try:
            compiled = self._compiled(envelope.tenant, envelope.template, envelope.version)
        except TemplateError as error:
            # Saved before a rule for templates became stricter: no try can help.
            now = self._clock.now_ms()
            plan.rows += [failed(envelope, r, Reason.RENDERING_FAILED, str(error), now) for r in recipients]
            return plan
        filling = Filling(plan, compiled, self._clock)
        if envelope.kind is KeyKind.TEST:
            self._simulate(plan, recipients, filling)
            return plan
        fresh = self._look_ups(plan, recipients, filling) if envelope.ask_account else recipients
        if fresh:
            self._send(plan, fresh, filling)
        return plan

    def look_again(self, plan: Plan) -> None:
        """Before a later wave: leave out who is not to be sent to any more (see `Runs.look_again`)."""
        self._runs.look_again(plan)

    def via(self, tenant: str, account_id: str) -> Via | None:
        """How a message went that was left in flight through an account; None when nothing is known of it any more."""
        account = self._accounts.find(tenant, account_id)
        if account is None:
            return None
        provider = self._accounts.usable(account)
        # A broken account can be asked nothing.
        return Via(account.id, account.provider, 0, provider is not None and provider.looks_up)

    def release(self, plan: Plan, rows: Sequence[EventRow], seen: Entry | None) -> None:
        """Let go of what messages hold that ended unsent. rows: what is recorded. seen: what the ledger held before.

        Raises: what the table raises.
        """
        self._frequency.release(plan, rows, seen)

    def _unexpired(self, plan: Plan) -> list[EnvelopeRecipient]:
        envelope, now = plan.envelope, self._clock.now_ms()
        if envelope.expires_at is None or now < envelope.expires_at:
            return envelope.recipients
        asked = envelope.ask_account
        plan.rows = [
            row(envelope, r, Stage.EXPIRED, now, reason=Reason.EXPIRED)
            for r in envelope.recipients
            if r.index not in asked
        ]
        # Whether an earlier try came through is still worth knowing.
        return [r for r in envelope.recipients if r.index in asked]

    def _compile(self, tenant: str, template: str, version: int) -> Compiled:
        found = self._configured.version(tenant, template, version)
        if found is None:
            raise TemplateGoneError
        return compile_content(found.content)

    def _simulate(self, plan: Plan, recipients: Sequence[EnvelopeRecipient], filling: Filling) -> None:
        """For test keys: render, call no provider; the address says what becomes of a message."""
        envelope, now, via = plan.envelope, self._clock.now_ms(), Via(simulation.PROVIDER, simulation.PROVIDER)
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        # What was redriven is past the tries that come to nothing.
        tries = GENERATION * envelope.generation + envelope.attempt
        for recipient, message in filling.fill(recipients):
            outcome = simulation.outcome_of(envelope.channel, message.to, tries, message.message_id)
            plan.rows.append(judge(envelope, recipient, outcome, now, chance, via))

    def _look_ups(
        self, plan: Plan, recipients: Sequence[EnvelopeRecipient], filling: Filling
    ) -> list[EnvelopeRecipient]:
        """Plan to ask accounts what became of earlier tries; returns the recipients of whom there is nothing to ask."""
        asking, envelope = plan.envelope.ask_account, plan.envelope
        by_account: dict[str, list[EnvelopeRecipient]] = {}
        for recipient in recipients:
            if recipient.index in asking:
                by_account.setdefault(asking[recipient.index], []).append(recipient)
        for account_id, asked in by_account.items():
            account = self._accounts.find(envelope.tenant, account_id)
            provider = None if account is None else self._accounts.usable(account)
            if account is None or provider is None:
                # It cannot be asked any more, so it stays unknown.
                now, via = self._clock.now_ms(), Via(account_id, "")
                chance = random.random()  # noqa: S311 - spreads retries, guards nothing
                outcome = Unknown(Reason.NO_ACCOUNT, "")
                plan.rows += [judge_look_up(envelope, r, outcome, now, chance, via) for r in asked]
                continue
            tried = envelope.tried_between or (envelope.accepted_at, self._clock.now_ms())
            plan.calls.extend(Call(account, provider, [m], [r], tried) for r, m in filling.fill(asked))
        return [r for r in recipients if r.index not in asking]

    def _send(self, plan: Plan, recipients: Sequence[EnvelopeRecipient], filling: Filling) -> None:
        """Take recipients through the policies and plan their calls."""
        envelope = plan.envelope
        template = self._configured.template(envelope.tenant, envelope.template)
        settings = self._configured.settings(envelope.tenant)
        policies = resolve(settings, template, envelope.channel, envelope.message_class)
        if policies.quiet_hours is not None and policies.quiet_hours.windows:
            zone = self._zone(envelope.tenant, settings)
            recipients = awake(plan, recipients, policies.quiet_hours, zone, self._clock.now_ms())
        rendered = filling.fill(recipients, settings.blocked_words)
        pairs = with_files(plan, rendered, self._files, self._clock.now_ms())
        pairs = self._frequency.admitted(plan, pairs, policies, lambda: self._zone(envelope.tenant, settings))
        if not pairs:
            return
        accounts = self._accounts.active(envelope.tenant, template.accounts if template else (), envelope.avoid)
        if not accounts:
            plan.rows += self._down(plan, pairs, AccountDown(Reason.NO_ACCOUNT, ""), None)
            return
        route = self._routing.route(envelope.tenant, accounts, policies.weights)
        for account, chosen in self._routing.spread(plan, route, pairs):
            self._through(plan, account, chosen)

    def _zone(self, tenant_id: str, settings: TenantSettings) -> str:
        """The time zone of recipients of whom none is known."""
        if settings.time_zone is not None:
            return settings.time_zone
        tenant = self._configured.tenant(tenant_id)
        return tenant.time_zone if tenant is not None else "UTC"

    def _through(self, plan: Plan, account: Account, pairs: Sequence[Rendered]) -> None:
        """Plan the calls of one account."""
        provider = self._accounts.usable(account)
        if provider is None:
            via = Via(account.id, account.provider)
            rows = self._down(plan, pairs, AccountDown(Reason.ACCOUNT_MISCONFIGURED, ""), via)
            plan.rows += self._routing.failover(plan, pairs, rows)
            return
        plan.calls.extend(calls_of(account, provider, self._within_limits(plan, account, pairs)))

    def failover(
        self, plan: Plan, wave: Sequence[Call], rows: Sequence[EventRow], remaining_s: float
    ) -> list[EventRow]:
        """Plan calls by other accounts for who met one that is down; returns the rows of the wave that stand."""
        pairs = [pair for call in wave if call.tried is None for pair in call.pairs()]
        return self._routing.failover(plan, pairs, rows, remaining_s)

    def _down(self, plan: Plan, pairs: Sequence[Rendered], outcome: Outcome, via: Via | None) -> list[EventRow]:
        now, chance = self._clock.now_ms(), random.random()  # noqa: S311 - spreads retries, guards nothing
        return [judge(plan.envelope, r, outcome, now, chance, via) for r, _ in pairs]

    def _within_limits(self, plan: Plan, account: Account, pairs: Sequence[Rendered]) -> list[Rendered]:
        """Those whose message is within the provider's limits; the others fail."""
        envelope, kept = plan.envelope, []
        for recipient, message in pairs:
            unfit = beyond(message.content, account.provider, envelope.message_class)
            if unfit is None:
                kept.append((recipient, message))
            else:
                plan.rows.append(failed(envelope, recipient, unfit.reason, unfit.found, self._clock.now_ms()))
        return kept
