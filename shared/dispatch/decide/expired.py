"""Expired: a message whose time to live is over is not sent."""

from shared.dispatch.decide.step import Batch, Step, Taken
from shared.lifecycle.verdict import row
from shared.model.reasons import Reason
from shared.model.words import Stage


class Expired(Step):
    """Ends messages whose time to live is over."""

    def take(self, batch: Batch) -> Taken:
        envelope, now = batch.envelope, self.now()
        if envelope.expires_at is None or now < envelope.expires_at:
            return batch.candidates, []
        return batch.all_end(lambda r: row(envelope, r, Stage.EXPIRED, now, reason=Reason.EXPIRED))
