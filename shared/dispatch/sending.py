"""Sends one envelope's messages: decides, renders, and calls providers in waves over kept connections."""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from aws_lambda_powertools import Logger

from shared.dispatch.accounts import Accounts, choose
from shared.dispatch.verdict import Via, failed, judge, row
from shared.logs import log_error
from shared.model.accounts import Account
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.ids import Numbering
from shared.model.outcome import AccountDown, Outcome, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.templates import Template, TemplateVersion
from shared.model.words import KeyKind, Stage
from shared.policy import limits
from shared.providers.base import Outgoing, Provider
from shared.rendering import Compiled, RenderingError, TemplateError, compile_content

logger = Logger(child=True)

RESERVE_S = 10.0
"""Kept back for recording outcomes and handing on when the function's time runs out."""


class Templates(Protocol):
    """Where templates are read."""

    def template(self, tenant: str, template_id: str) -> Template | None: ...

    def version(self, tenant: str, template_id: str, number: int) -> TemplateVersion | None: ...


class TemplateGoneError(Exception):
    """The envelope names a template version that is not there."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recipient whose message is rendered and ready for an account."""

    recipient: EnvelopeRecipient
    outgoing: Outgoing


class Sender:
    """Sends envelopes of one channel."""

    def __init__(self, templates: Templates, accounts: Accounts, clock: Clock, pool: Executor) -> None:
        self._templates = templates
        self._accounts = accounts
        self._clock = clock
        self._pool = pool
        self._compiled: Callable[[str, str, int], Compiled] = lru_cache(256)(self._compile)

    def send(self, envelope: Envelope, remaining_s: Callable[[], float]) -> list[EventRow]:
        """Send what can be sent in the time; returns a row per recipient that is done with in this envelope.

        Raises: TemplateGoneError.
        """
        now = self._clock.now_ms()
        if envelope.expires_at is not None and now >= envelope.expires_at:
            rows = [row(envelope, r, Stage.EXPIRED, now) for r in envelope.recipients]
            for expired in rows:
                expired["why"] = Reason.EXPIRED
            return rows
        try:
            compiled = self._compiled(envelope.tenant, envelope.template, envelope.version)
        except TemplateError as error:
            # Saved before a rule for templates became stricter: no try can help.
            return [failed(envelope, r, Reason.RENDERING_FAILED, error.field, now) for r in envelope.recipients]
        if envelope.kind is KeyKind.TEST:
            return self._simulate(envelope, compiled)
        template = self._templates.template(envelope.tenant, envelope.template)
        accounts = self._accounts.active(envelope.tenant, template.accounts if template else (), envelope.avoid)
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        if not accounts:
            down = AccountDown(Reason.NO_ACCOUNT, "")
            return [judge(envelope, r, down, now, chance, None) for r in envelope.recipients]
        rows = []
        for account, recipients in _by_account(envelope, accounts):
            rows += self._through(envelope, account, recipients, compiled, chance, remaining_s)
        return rows

    def _compile(self, tenant: str, template: str, version: int) -> Compiled:
        found = self._templates.version(tenant, template, version)
        if found is None:
            raise TemplateGoneError
        return compile_content(found.content)

    def _simulate(self, envelope: Envelope, compiled: Compiled) -> list[EventRow]:
        """For test keys: render, call no provider."""
        jobs, rows = self._render(envelope, envelope.recipients, compiled, None)
        now, via = self._clock.now_ms(), Via("test", "test", 0)
        return rows + [judge(envelope, j.recipient, Sent(f"test-{j.outgoing.message_id}"), now, 0, via) for j in jobs]

    def _through(
        self,
        envelope: Envelope,
        account: Account,
        recipients: Sequence[EnvelopeRecipient],
        compiled: Compiled,
        chance: float,
        remaining_s: Callable[[], float],
    ) -> list[EventRow]:
        """Send through one account."""
        try:
            provider = self._accounts.provider(account)
        except Exception as error:  # a broken account must not sink the envelopes of others
            log_error(logger, "account cannot be used", error, account=account.id)
            down = AccountDown(Reason.ACCOUNT_MISCONFIGURED, type(error).__name__)
            now, via = self._clock.now_ms(), Via(account.id, account.provider, 0)
            return [_marked(judge(envelope, r, down, now, chance, via), down) for r in recipients]
        jobs, rows = self._render(envelope, recipients, compiled, account.provider)
        by_id = {job.outgoing.message_id: job.recipient for job in jobs}
        groups = deque(provider.group([job.outgoing for job in jobs]))
        while groups:
            size = _wave(provider, len(groups), remaining_s())
            if size == 0:
                break
            wave = [groups.popleft() for _ in range(size)]
            for group, outcomes, ms in self._call(provider, wave):
                now, via = self._clock.now_ms(), Via(account.id, account.provider, ms)
                for message, outcome in zip(group, outcomes, strict=True):
                    verdict = judge(envelope, by_id[message.message_id], outcome, now, chance, via)
                    rows.append(_marked(verdict, outcome))
        return rows

    def _render(
        self, envelope: Envelope, recipients: Sequence[EnvelopeRecipient], compiled: Compiled, provider: str | None
    ) -> tuple[list[Job], list[EventRow]]:
        """Render for each recipient; those that cannot be rendered, or not within the provider's limits, fail."""
        number, jobs, rows = Numbering(envelope.root), [], []
        for recipient in recipients:
            try:
                rendered = compiled.render(envelope.variables, recipient.get("vars") or {})
            except RenderingError as error:
                rows.append(failed(envelope, recipient, Reason.RENDERING_FAILED, error.field, self._clock.now_ms()))
                continue
            broken = limits.check(rendered, provider) if provider else ()
            if broken:
                rows.append(failed(envelope, recipient, Reason.CONTENT_INVALID, broken[0][0], self._clock.now_ms()))
                continue
            message_id = number(recipient["i"]) + recipient["tag"]
            jobs.append(Job(recipient, Outgoing(message_id, recipient["to"], rendered)))
        return jobs, rows

    def _call(
        self, provider: Provider, wave: Sequence[list[Outgoing]]
    ) -> list[tuple[list[Outgoing], list[Outcome], int]]:
        """Call a provider for each group of a wave, on as many threads as it takes."""
        todo = deque(wave)
        done: list[tuple[list[Outgoing], list[Outcome], int]] = []

        def work() -> None:
            while True:
                try:
                    group = todo.popleft()
                except IndexError:
                    return
                started = time.perf_counter()
                done.append((group, _send(provider, group), int((time.perf_counter() - started) * 1000)))

        workers = min(provider.threads, len(wave))
        if workers == 1:
            work()
        else:
            wait([self._pool.submit(work) for _ in range(workers)])
        return done


def _send(provider: Provider, group: list[Outgoing]) -> list[Outcome]:
    try:
        outcomes = provider.send(group)
    except Exception as error:  # a provider's own mistake: whether the message left cannot be known
        log_error(logger, "provider raised", error)
        return [Unknown(Reason.PROVIDER_ERROR, type(error).__name__)] * len(group)
    if len(outcomes) != len(group):
        return [Unknown(Reason.UNRECOGNISED_ANSWER, "wrong_count")] * len(group)
    return outcomes


def _by_account(envelope: Envelope, accounts: Sequence[Account]) -> list[tuple[Account, list[EnvelopeRecipient]]]:
    if len(accounts) == 1:
        return [(accounts[0], envelope.recipients)]
    chosen: dict[str, tuple[Account, list[EnvelopeRecipient]]] = {}
    for recipient in envelope.recipients:
        account = choose(accounts, recipient["tag"])
        chosen.setdefault(account.id, (account, []))[1].append(recipient)
    return list(chosen.values())


def _wave(provider: Provider, left: int, remaining_s: float) -> int:
    """How many groups may be sent at once so that even at their slowest the function's time suffices."""
    rounds = int((remaining_s - RESERVE_S) / provider.worst_case_seconds)
    return min(left, max(0, rounds) * provider.threads)


def _marked(verdict: EventRow, outcome: Outcome) -> EventRow:
    """Note on a retry that the account was down, so that the next try goes by another where there is one."""
    if isinstance(outcome, AccountDown) and verdict["s"] == Stage.RETRYING:
        verdict["down"] = True
    return verdict
