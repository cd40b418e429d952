"""Caps: who has had enough messages of the class gets no more for the time being.

A message that gets through holds a slot of its recipient's, under its own id, so it counts once however often it is
decided on. When it ends unsent the slot is given back (`shared/lifecycle/held.py`).
"""

from shared.dispatch.decide.step import Batch, Step, Taken
from shared.lifecycle.held import claimants_of
from shared.lifecycle.verdict import row
from shared.model.ids import tag_of
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.caps import since
from shared.store.claims import Answer


def _starts(batch: Batch) -> bool:
    """Whether the messages are to the address of the verification that they carry, and not where it falls back to."""
    proof = batch.envelope.proof
    return proof is not None and all(candidate.recipient.tag == tag_of(proof.id) for candidate in batch.candidates)


class Caps(Step):
    """Ends messages beyond the policy's cap for their recipient."""

    def take(self, batch: Batch) -> Taken:
        cap = batch.policies.cap
        # How often a verification is sent to its own address is counted where it is started.
        if cap is None or not cap.count or _starts(batch):
            return batch.candidates, []
        envelope, held, now = batch.envelope, batch.held, self.now()
        held.at = held.at or now
        after = since(cap, now, batch.zone if cap.minutes is None else "UTC")
        of = envelope.tenant, envelope.channel, envelope.message_class
        claimants = claimants_of(envelope, [candidate.recipient for candidate in batch.candidates])
        answers = self.sources.caps.take(of, claimants, cap.count, after)
        left, rows = [], []
        for candidate, claim in zip(batch.candidates, answers, strict=True):
            recipient = candidate.recipient
            if claim.answer is Answer.REFUSED:
                ended = row(envelope, recipient, Stage.CAPPED, now, reason=Reason.CAPPED)
                ended.limit = cap.count, cap.minutes or 0
                if cap.minutes is not None and claim.at is not None:
                    ended.clear_at = claim.at + cap.minutes * 60_000
                rows.append(ended)
                continue
            left.append(candidate)
            held.slots.add(recipient.index)
            if claim.answer is Answer.TAKEN:
                held.new_slots.add(recipient.index)
        return left, rows
