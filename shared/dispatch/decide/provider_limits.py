"""The provider's limits: a message that the account's provider would refuse fails before it is asked."""

from shared.acceptance.sendable import beyond
from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import failed
from shared.model.events import EventRow


class ProviderLimits(Step):
    """Ends messages that are beyond what their account's provider takes."""

    def take(self, batch: Batch) -> Taken:
        envelope = batch.envelope

        def unfit(candidate: Candidate) -> EventRow | None:
            if candidate.account is None:
                return None
            found = beyond(candidate.message.content, candidate.account.provider, envelope.message_class)
            if found is None:
                return None
            return failed(envelope, candidate.recipient, found.reason, found.found, self.now())

        return batch.split(unfit)
