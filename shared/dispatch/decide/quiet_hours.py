"""Quiet hours: a message to somebody who is left alone now waits for their end, or is not sent at all."""

from zoneinfo import ZoneInfo

from shared.dispatch.decide.step import Batch, Candidate, Step, Taken
from shared.lifecycle.verdict import put_off, row
from shared.model.events import EventRow
from shared.model.policies import QuietAction
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.quiet_hours import waits_until


class QuietHours(Step):
    """Puts off messages until the quiet hours of their recipients are over, or ends them if the policy says so."""

    def take(self, batch: Batch) -> Taken:
        quiet = batch.policies.quiet_hours
        if quiet is None or not quiet.windows:
            return batch.candidates, []
        envelope, now = batch.envelope, self.now()
        # The recipients of a zone go on together, so that a deferred envelope stays one.
        zones = {batch.zone_of(candidate) for candidate in batch.candidates}
        ends = {zone: waits_until(now, ZoneInfo(zone), quiet, envelope.root) for zone in zones}

        def asleep(candidate: Candidate) -> EventRow | None:
            end = ends[batch.zone_of(candidate)]
            if end is None:
                return None
            if quiet.action is QuietAction.DEFER:
                return put_off(envelope, candidate.recipient, Reason.QUIET_HOURS, end, now)
            ended = row(envelope, candidate.recipient, Stage.SUPPRESSED, now, reason=Reason.QUIET_HOURS)
            ended.clear_at = end
            return ended

        return batch.split(asleep)
