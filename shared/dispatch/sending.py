"""Decides what is to be sent of an envelope, renders it, and calls providers over kept connections."""

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from typing import Protocol

from aws_lambda_powertools import Logger

from shared.dispatch.accounts import Accounts, choose
from shared.dispatch.plan import Call, Plan
from shared.dispatch.verdict import GENERATION, Via, failed, judge, judge_look_up, row
from shared.logs import log_error
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.ids import Numbering
from shared.model.outcome import AccountDown, Outcome, Unknown
from shared.model.reasons import Reason
from shared.model.suppression import SuppressionEntry
from shared.model.templates import Template, TemplateVersion
from shared.model.words import Channel, KeyKind, Stage
from shared.policy import limits, simulation
from shared.policy.suppression import stopped_by
from shared.providers.base import Outgoing, Provider
from shared.rendering import Compiled, RenderingError, TemplateError, compile_content

logger = Logger(child=True)


_Done = tuple[Call, list[Outcome], int, int]
"""A call that was made, what became of its messages, when it ended, and the milliseconds that it took."""


class Templates(Protocol):
    """Where templates are read."""

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion | None: ...


class Suppressions(Protocol):
    """Where it is read who must not be written to."""

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str]
    ) -> Mapping[str, Sequence[SuppressionEntry]]: ...


class TemplateGoneError(Exception):
    """The envelope names a template version that is not there."""


class Sender:
    """Plans and makes the calls of one channel's envelopes."""

    def __init__(
        self, templates: Templates, accounts: Accounts, suppressions: Suppressions, clock: Clock, pool: Executor
    ) -> None:
        self._templates = templates
        self._accounts = accounts
        self._suppressions = suppressions
        self._clock = clock
        self._pool = pool
        self._compiled: Callable[[str, str, int], Compiled] = lru_cache(256)(self._compile)

    def plan(self, envelope: Envelope) -> Plan:
        """Decide for each recipient: a row, or a place in a call. Sends nothing and writes nothing.

        Raises: TemplateGoneError; what reading templates, accounts and the suppression list raises.
        """
        plan = Plan(envelope)
        recipients = envelope.recipients
        now = self._clock.now_ms()
        if envelope.expires_at is not None and now >= envelope.expires_at:
            plan.rows = [_expired(envelope, r, now) for r in recipients if r["i"] not in envelope.unsure]
            # Whether an earlier try came through is still worth knowing.
            recipients = [r for r in recipients if r["i"] in envelope.unsure]
        recipients = self._unstopped(plan, recipients)
        if not recipients:
            return plan
        try:
            compiled = self._compiled(envelope.tenant, envelope.template, envelope.version)
        except TemplateError as error:
            # Saved before a rule for templates became stricter: no try can help.
            plan.rows += [failed(envelope, r, Reason.RENDERING_FAILED, str(error), now) for r in recipients]
            return plan
        if envelope.kind is KeyKind.TEST:
            self._simulate(plan, recipients, compiled)
            return plan
        template = self._templates.template(envelope.tenant, envelope.template)
        accounts = self._accounts.active(envelope.tenant, template.accounts if template else (), envelope.avoid)
        fresh = self._look_ups(plan, recipients, compiled) if envelope.unsure else recipients
        if not fresh:
            return plan
        if not accounts:
            self._down(plan, fresh, AccountDown(Reason.NO_ACCOUNT, ""), None)
            return plan
        for account, chosen in _by_account(fresh, accounts):
            self._through(plan, account, chosen, compiled)
        return plan

    def via(self, tenant: str, account_id: str) -> Via | None:
        """How a message went that was left in flight through an account; None when nothing is known of it any more."""
        account = self._accounts.find(tenant, account_id)
        if account is None:
            return None
        try:
            looks_up = self._accounts.provider(account).looks_up
        except Exception as error:  # a broken account can be asked nothing
            log_error(logger, "account cannot be used", error, account=account_id)
            looks_up = False
        return Via(account.id, account.provider, 0, looks_up)

    def call(self, envelope: Envelope, wave: Sequence[Call], remaining_s: Callable[[], float]) -> list[EventRow]:
        """Make a wave's calls on as many threads as the providers take; returns a row per recipient.

        A call that might not end in time is not begun: its recipients get no row.
        """
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        by_account: dict[str, deque[Call]] = {}
        for each in wave:
            by_account.setdefault(each.account.id, deque()).append(each)
        done: list[_Done] = []
        work = [
            lambda todo=todo: _make(todo, done, remaining_s, self._clock)
            for todo in by_account.values()
            for _ in range(min(todo[0].provider.threads, len(todo)))
        ]
        if len(work) == 1:
            work[0]()
        else:
            for future in [self._pool.submit(each) for each in work]:
                future.result()
        rows = []
        for each, outcomes, ended, ms in done:
            via = Via(each.account.id, each.account.provider, ms, each.provider.looks_up)
            verdict = judge if each.tried is None else judge_look_up
            for recipient, outcome in zip(each.recipients, outcomes, strict=True):
                rows.append(verdict(envelope, recipient, outcome, ended, chance, via))
        return rows

    def _unstopped(self, plan: Plan, recipients: Sequence[EnvelopeRecipient]) -> list[EnvelopeRecipient]:
        """Those that the suppression list does not stop; for the others there is a row.

        Asking about an earlier try sends nothing, so who is to be asked about is not looked for in the list.
        """
        envelope, left = plan.envelope, []
        tags = [r["tag"] for r in recipients if r["i"] not in envelope.unsure]
        entries = self._suppressions.find(envelope.tenant, envelope.channel, tags) if tags else {}
        for recipient in recipients:
            found = () if recipient["i"] in envelope.unsure else entries.get(recipient["tag"], ())
            reason = stopped_by(found, envelope.message_class)
            if reason is None:
                left.append(recipient)
                continue
            stopped = row(envelope, recipient, Stage.SUPPRESSED, self._clock.now_ms())
            stopped["why"] = Reason(f"suppressed_{reason}")
            plan.rows.append(stopped)
        return left

    def _compile(self, tenant: str, template: str, version: int) -> Compiled:
        found = self._templates.version(tenant, template, version)
        if found is None:
            raise TemplateGoneError
        return compile_content(found.content)

    def _simulate(self, plan: Plan, recipients: Sequence[EnvelopeRecipient], compiled: Compiled) -> None:
        """For test keys: render, call no provider; the address says what becomes of a message."""
        envelope, now, via = plan.envelope, self._clock.now_ms(), Via(simulation.PROVIDER, simulation.PROVIDER)
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        # What was redriven is past the tries that come to nothing.
        tries = GENERATION * envelope.generation + envelope.attempt
        for recipient, message in self._render(plan, recipients, compiled, None):
            outcome = simulation.outcome_of(envelope.channel, message.to, tries, message.message_id)
            plan.rows.append(judge(envelope, recipient, outcome, now, chance, via))

    def _look_ups(
        self, plan: Plan, recipients: Sequence[EnvelopeRecipient], compiled: Compiled
    ) -> list[EnvelopeRecipient]:
        """Plan to ask accounts what became of earlier tries; returns the recipients of whom there is nothing to ask."""
        unsure, envelope = plan.envelope.unsure, plan.envelope
        by_account: dict[str, list[EnvelopeRecipient]] = {}
        for recipient in recipients:
            if recipient["i"] in unsure:
                by_account.setdefault(unsure[recipient["i"]], []).append(recipient)
        for account_id, asked in by_account.items():
            account = self._accounts.find(envelope.tenant, account_id)
            provider = None if account is None else self._provider(account)
            if account is None or provider is None:
                # It cannot be asked any more, so it stays unknown.
                now, via = self._clock.now_ms(), Via(account_id, "")
                chance = random.random()  # noqa: S311 - spreads retries, guards nothing
                outcome = Unknown(Reason.NO_ACCOUNT, "")
                plan.rows += [judge_look_up(envelope, r, outcome, now, chance, via) for r in asked]
                continue
            tried = envelope.tried or (envelope.accepted_at, self._clock.now_ms())
            pairs = self._render(plan, asked, compiled, None)
            plan.calls.extend(Call(account, provider, [m], [r], tried) for r, m in pairs)
        return [r for r in recipients if r["i"] not in unsure]

    def _through(
        self, plan: Plan, account: Account, recipients: Sequence[EnvelopeRecipient], compiled: Compiled
    ) -> None:
        """Plan the calls of one account."""
        provider = self._provider(account)
        if provider is None:
            via = Via(account.id, account.provider)
            self._down(plan, recipients, AccountDown(Reason.ACCOUNT_MISCONFIGURED, ""), via)
            return
        pairs = self._render(plan, recipients, compiled, account.provider)
        by_id = {message.message_id: recipient for recipient, message in pairs}
        for group in provider.group([message for _, message in pairs]):
            plan.calls.append(Call(account, provider, group, [by_id[m.message_id] for m in group]))

    def _provider(self, account: Account) -> Provider | None:
        try:
            return self._accounts.provider(account)
        except Exception as error:  # a broken account must not sink the envelopes of others
            log_error(logger, "account cannot be used", error, account=account.id)
            return None

    def _down(self, plan: Plan, recipients: Sequence[EnvelopeRecipient], outcome: AccountDown, via: Via | None) -> None:
        now, chance = self._clock.now_ms(), random.random()  # noqa: S311 - spreads retries, guards nothing
        plan.rows += [judge(plan.envelope, r, outcome, now, chance, via) for r in recipients]

    def _render(
        self, plan: Plan, recipients: Sequence[EnvelopeRecipient], compiled: Compiled, provider: str | None
    ) -> list[tuple[EnvelopeRecipient, Outgoing]]:
        """Render for each recipient; those that cannot be rendered, or not within the provider's limits, fail."""
        envelope = plan.envelope
        number, pairs = Numbering(envelope.root), []
        for recipient in recipients:
            try:
                rendered = compiled.render(envelope.variables, recipient.get("vars") or {})
            except RenderingError as error:
                now = self._clock.now_ms()
                plan.rows.append(failed(envelope, recipient, Reason.RENDERING_FAILED, str(error), now))
                continue
            broken = limits.check(rendered, provider, envelope.message_class) if provider else ()
            if broken:
                now = self._clock.now_ms()
                plan.rows.append(_beyond(envelope, recipient, broken[0], now))
                continue
            message_id = number(recipient["i"]) + recipient["tag"]
            pairs.append((recipient, Outgoing(message_id, recipient["to"], rendered)))
        return pairs


def _beyond(envelope: Envelope, recipient: EnvelopeRecipient, issue: limits.Issue, now: int) -> EventRow:
    """A recipient whose message breaks a limit of the provider."""
    reason = Reason.CONTENT_TOO_LONG if isinstance(issue, limits.TooLong) else Reason.CONTENT_INVALID
    field, message = issue
    return failed(envelope, recipient, reason, f"content.{field}: {message}", now)


def _expired(envelope: Envelope, recipient: EnvelopeRecipient, now: int) -> EventRow:
    result = row(envelope, recipient, Stage.EXPIRED, now)
    result["why"] = Reason.EXPIRED
    return result


def _make(todo: deque[Call], done: list[_Done], remaining_s: Callable[[], float], clock: Clock) -> None:
    """Make calls until none is left or the time is short."""
    while True:
        try:
            call = todo.popleft()
        except IndexError:
            return
        if not call.fits(remaining_s()):
            return
        started = time.perf_counter()
        outcomes = _ask(call)
        done.append((call, outcomes, clock.now_ms(), int((time.perf_counter() - started) * 1000)))


def _ask(call: Call) -> list[Outcome]:
    try:
        if call.tried is None:
            outcomes = call.provider.send(call.messages)
        else:
            outcomes = call.provider.look_up(call.messages, *call.tried)
    except Exception as error:  # a provider's own mistake: whether the message left cannot be known
        log_error(logger, "provider raised", error)
        return [Unknown(Reason.PROVIDER_ERROR, type(error).__name__)] * len(call.messages)
    if len(outcomes) != len(call.messages):
        return [Unknown(Reason.UNRECOGNISED_ANSWER, "wrong_count")] * len(call.messages)
    return outcomes


def _by_account(
    recipients: Sequence[EnvelopeRecipient], accounts: Sequence[Account]
) -> list[tuple[Account, Sequence[EnvelopeRecipient]]]:
    if len(accounts) == 1:
        return [(accounts[0], recipients)]
    chosen: dict[str, tuple[Account, list[EnvelopeRecipient]]] = {}
    for recipient in recipients:
        account = choose(accounts, recipient["tag"])
        chosen.setdefault(account.id, (account, []))[1].append(recipient)
    return list(chosen.values())
