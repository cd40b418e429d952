"""Erased: a message whose recipient asked to be forgotten is not sent."""

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import row
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.words import Stage


class Erased(Step):
    """Ends messages that have no address any more (see `shared/policy/veiling.py`)."""

    def take(self, batch: Batch) -> Taken:
        envelope, now = batch.envelope, self.now()

        def ended(candidate: Candidate) -> EventRow | None:
            if candidate.recipient.address:
                return None
            return row(envelope, candidate.recipient, Stage.RECALLED, now, reason=Reason.ERASED)

        return batch.split(ended)
