"""Plans an envelope: takes its messages through the steps, and groups into calls what is to be sent or asked."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache

from shared.base.shared_reads import SharedReads
from shared.dispatch.decide.filling import Filling
from shared.dispatch.decide.rendering import rendered
from shared.dispatch.decide.step import Batch, Candidate, Configured, Sources
from shared.dispatch.decide.steps import STEPS
from shared.dispatch.plan import Call, Plan, Rendered, calls_of
from shared.errors import NotFoundError
from shared.lifecycle.held import Releases
from shared.lifecycle.verdict import Via, judge_look_up
from shared.model.accounts import Account
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.outcome import Unknown
from shared.model.reasons import Reason
from shared.policy.verifying import variables_of
from shared.rendering.render import Compiled, compile_content
from shared.store.ledger import Entry


class TemplateGoneError(NotFoundError):
    """The envelope names a template version that is not there."""


class Planner:
    """Plans the calls of one channel's envelopes; shared by threads."""

    def __init__(self, sources: Sources, releases: Releases) -> None:
        self._sources = sources
        self._configured: Configured = sources.configured
        self._steps = [step(sources) for step in STEPS]
        self._releases = releases
        self._compiled: Callable[[str, str, int], Compiled] = lru_cache(256)(self._compile)

    def plan(self, envelope: Envelope, reads: SharedReads) -> Plan:
        """Decide for each recipient: a row, or a place in a call. Sends nothing. reads: see `Batch.reads`.

        Raises: TemplateGoneError; what the steps raise.
        """
        asked, fresh = _parted(envelope)
        batch = Batch(envelope, fresh, self._configured, lambda: self._filling(envelope), reads)
        rows, calls = self._look_ups(batch, asked)
        for step in self._steps:
            if not batch.candidates:
                break
            left, ended = step.take(batch)
            batch.candidates = list(left)
            rows += ended
        calls += self._calls(batch)
        return Plan(envelope, rows, deque(calls), batch.held, batch.route, batch.passed_over)

    def look_again(self, plan: Plan) -> None:
        """Before a later wave: leave out who is not to be sent to any more (see `Runs.look_again`)."""
        self._sources.runs.look_again(plan)

    def via(self, tenant: str, account_id: str) -> Via | None:
        """How a message went that was left in flight through an account; None when nothing is known of it any more."""
        account = self._sources.accounts.find(tenant, account_id)
        if account is None:
            return None
        provider = self._sources.accounts.usable(account)
        # A broken account can be asked nothing.
        return Via(account.id, account.provider, 0, provider is not None and provider.looks_up)

    def release(self, plan: Plan, rows: Sequence[EventRow], seen: Entry | None) -> None:
        """Let go of what messages hold that ended unsent. rows: what is recorded. seen: what the ledger held before.

        Raises: what the table raises.
        """
        self._releases.release(plan.envelope, rows, plan.held, seen)

    def failover(
        self, plan: Plan, wave: Sequence[Call], rows: Sequence[EventRow], remaining_s: float
    ) -> list[EventRow]:
        """Plan calls by other accounts for who met one that is down; returns the rows of the wave that stand."""
        pairs = [pair for call in wave if call.tried is None for pair in call.pairs()]
        return self._sources.routing.failover(plan, pairs, rows, remaining_s)

    def _filling(self, envelope: Envelope) -> Filling:
        compiled = self._compiled(envelope.tenant, envelope.template, envelope.version)
        proof, clock = envelope.proof, self._sources.clock
        if proof is None:
            return Filling(envelope, compiled, clock)
        tenant = self._configured.tenant(envelope.tenant)
        secret = {} if tenant is None else variables_of(proof, tenant.salt)
        return Filling(envelope, compiled, clock, secret)

    def _compile(self, tenant: str, template: str, version: int) -> Compiled:
        found = self._configured.version(tenant, template, version)
        if found is None:
            raise TemplateGoneError
        return compile_content(found.content)

    def _look_ups(self, batch: Batch, recipients: Sequence[EnvelopeRecipient]) -> tuple[list[EventRow], list[Call]]:
        """Ask accounts what became of earlier tries. That sends nothing, so no step stands in its way."""
        envelope, clock, accounts = batch.envelope, self._sources.clock, self._sources.accounts
        by_account: dict[str, list[EnvelopeRecipient]] = {}
        for recipient in recipients:
            by_account.setdefault(envelope.ask_account[recipient.index], []).append(recipient)
        rows: list[EventRow] = []
        calls: list[Call] = []
        for account_id, asked in by_account.items():
            account = accounts.find(envelope.tenant, account_id)
            provider = None if account is None else accounts.usable(account)
            if account is None or provider is None:
                # It cannot be asked any more, so it stays unknown.
                now, via = clock.now_ms(), Via(account_id, "")
                chance = random.random()  # noqa: S311 - spreads retries, guards nothing
                outcome = Unknown(Reason.NO_ACCOUNT, "")
                rows += [judge_look_up(envelope, r, outcome, now, chance, via) for r in asked]
                continue
            tried = envelope.tried_between or (envelope.accepted_at, clock.now_ms())
            filled, failed = rendered(batch, [Candidate(r) for r in asked], (), clock)
            rows += failed
            calls += [Call(account, provider, [each.message], [each.recipient], tried) for each in filled]
        return rows, calls

    def _calls(self, batch: Batch) -> list[Call]:
        """The calls by which accounts send what is left."""
        by_account: dict[str, tuple[Account, list[Rendered]]] = {}
        for candidate in batch.candidates:
            account = candidate.account
            if account is not None:
                pair = candidate.recipient, candidate.message
                by_account.setdefault(account.id, (account, []))[1].append(pair)
        calls: list[Call] = []
        for account, pairs in by_account.values():
            provider = self._sources.accounts.usable(account)
            # Who has none any more is carried on by a continuation.
            calls += calls_of(account, provider, pairs) if provider is not None else ()
        return calls


def _parted(envelope: Envelope) -> tuple[list[EnvelopeRecipient], list[Candidate]]:
    """Those of whom an account is asked first what became of them, and the others."""
    asking = envelope.ask_account
    asked = [r for r in envelope.recipients if r.index in asking] if asking else []
    return asked, [Candidate(r) for r in envelope.recipients if r.index not in asking]
