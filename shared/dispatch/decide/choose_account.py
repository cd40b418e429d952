"""The account: which one sends a message, by weights and health; without any, the message waits for one."""

import random
from collections.abc import Iterator

from msgspec.structs import replace

from shared.dispatch.accounts import Route
from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import Via, judge
from shared.model.accounts import Account
from shared.model.events import EventRow
from shared.model.outcome import AccountDown
from shared.model.reasons import Reason
from shared.model.words import Channel
from shared.providers.declared import check


class ChooseAccount(Step):
    """Gives each message the account that sends it; notes in the batch which accounts were passed over."""

    def take(self, batch: Batch) -> Taken:
        envelope, template = batch.envelope, batch.template
        accounts = self.sources.accounts.active(envelope.tenant, template.accounts if template else (), envelope.avoid)
        if not accounts:
            return [], [self._without(batch, each, Reason.NO_ACCOUNT, None) for each in batch.candidates]
        batch.route = self.sources.routing.route(
            envelope.tenant, accounts, batch.policies.weights, self._country(batch)
        )
        for candidate in batch.candidates:
            candidate.account, avoided = batch.route.first(candidate.message.message_id)
            if avoided is not None:
                batch.passed_over[candidate.recipient.index] = ((avoided, Reason.AVOIDED, ""),)
        chosen = {c.account.id: c.account for c in batch.candidates if c.account is not None}
        broken = {id for id, account in chosen.items() if self.sources.accounts.usable(account) is None}
        return self._around(batch, batch.route, broken) if broken else (batch.candidates, [])

    def _country(self, batch: Batch) -> str | None:
        """To which country a code goes, if accounts are to be chosen by how many are entered there."""
        envelope = batch.envelope
        if envelope.proof is None or envelope.channel is not Channel.SMS:
            return None
        by_conversion = self.sources.configured.settings(envelope.tenant).route_by_conversion
        return envelope.proof.country if by_conversion else None

    def _around(self, batch: Batch, route: Route, broken: set[str]) -> Taken:
        """Give the messages of broken accounts to others, where one can take them."""
        self.sources.routing.note_down(batch.envelope.tenant, broken)
        batch.route = replace(route, down=route.down | broken)

        def nobody(candidate: Candidate) -> EventRow | None:
            account, index = candidate.account, candidate.recipient.index
            if account is None or account.id not in broken:
                return None
            over = (*batch.passed_over.get(index, ()), (account.id, Reason.ACCOUNT_MISCONFIGURED.value, ""))
            for other in self._others(batch, candidate, {each[0] for each in over}):
                candidate.account, batch.passed_over[index] = other, over
                return None
            via = Via(account.id, account.provider)
            return self._without(batch, candidate, Reason.ACCOUNT_MISCONFIGURED, via)

        return batch.split(nobody)

    def _others(self, batch: Batch, candidate: Candidate, been: set[str]) -> Iterator[Account]:
        """The other accounts that can take a message, in the order to ask them."""
        message = candidate.message
        for account in batch.route.others(message.message_id, been) if batch.route is not None else ():
            fits = not check(message.content, account.provider, batch.envelope.message_class)
            if fits and self.sources.accounts.usable(account) is not None:
                yield account

    def _without(self, batch: Batch, candidate: Candidate, reason: Reason, via: Via | None) -> EventRow:
        chance = random.random()  # noqa: S311 - spreads retries, guards nothing
        return judge(batch.envelope, candidate.recipient, AccountDown(reason, ""), self.now(), chance, via)
