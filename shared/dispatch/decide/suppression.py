"""The suppression list: who is on it is not written to."""

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import row
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.suppression import stopped_by, wants_no_tracking


class Suppression(Step):
    """Ends messages to recipients whom the list stops. It is asked once for an envelope, at every try."""

    def take(self, batch: Batch) -> Taken:
        envelope, now = batch.envelope, self.now()
        tags = [candidate.recipient.tag for candidate in batch.candidates]
        entries = self.sources.suppressions.find(envelope.tenant, envelope.channel, tags, batch.reads)
        batch.untracked = {tag for tag, found in entries.items() if wants_no_tracking(found)}
        # Nearly nobody is on the list, and then no template is read for it.
        topic = batch.template.topic if entries and batch.template is not None else None

        def stopped(candidate: Candidate) -> EventRow | None:
            why = stopped_by(entries.get(candidate.recipient.tag, ()), envelope.message_class, topic)
            if why is None:
                return None
            reason = Reason(f"suppressed_{why.reason}")
            ended = row(envelope, candidate.recipient, Stage.SUPPRESSED, now, reason=reason)
            ended.because_of, ended.listed_at = why.message, why.at
            return ended

        return batch.split(stopped)
