"""Duplicates: who has just got the same content does not get it again.

A message that gets through holds a mark of its content, under its own id. Whoever decides on it again, for a retry, a
redelivery or in a second function, finds the mark and comes to the same. When the message ends unsent the mark is given
back (`shared/lifecycle/held.py`).
"""

from shared.dispatch.decide.step import Batch, Step, Taken
from shared.lifecycle.held import claimants_of
from shared.lifecycle.verdict import row
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.duplicates import digests
from shared.store.claims import Answer


class Duplicates(Step):
    """Ends messages whose recipient has got the same content within the policy's time."""

    def take(self, batch: Batch) -> Taken:
        seconds = batch.policies.duplicate_seconds
        if not seconds:
            return batch.candidates, []
        envelope, held, now = batch.envelope, batch.held, self.now()
        held.at = held.at or now
        tenant = self.sources.configured.tenant(envelope.tenant)
        key = tenant.salt[:64] if tenant is not None else b""
        found = digests([candidate.message.content for candidate in batch.candidates], key)
        claims = dict(zip(claimants_of(envelope, [c.recipient for c in batch.candidates]), found, strict=True))
        answers = self.sources.duplicates.take(envelope.tenant, envelope.template, claims, seconds)
        left, rows = [], []
        for candidate, digest, claim in zip(batch.candidates, found, answers, strict=True):
            recipient = candidate.recipient
            if claim.answer is Answer.REFUSED:
                ended = row(envelope, recipient, Stage.DUPLICATE, now, reason=Reason.DUPLICATE)
                ended.because_of, ended.clear_at = claim.held_by + recipient.tag, claim.at
                rows.append(ended)
                continue
            left.append(candidate)
            held.marks[recipient.index] = digest
            if claim.answer is Answer.TAKEN:
                held.new_marks.add(recipient.index)
        return left, rows
