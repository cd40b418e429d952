"""Quiet hours: who is left alone now waits for their end, or is not sent to at all."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from shared.dispatch.plan import Plan
from shared.lifecycle.verdict import put_off, row
from shared.model.envelope import EnvelopeRecipient
from shared.model.policies import QuietAction, QuietHours
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.policy.quiet_hours import waits_until


def awake(
    plan: Plan, recipients: Sequence[EnvelopeRecipient], quiet: QuietHours, zone: str, now: int
) -> list[EnvelopeRecipient]:
    """Those for whom it is not quiet; for the others the plan has a row. zone: where none is known of a recipient."""
    envelope, left = plan.envelope, []
    # The recipients of a zone go on together, so that a deferred envelope stays one.
    ends = {
        name: waits_until(now, ZoneInfo(name), quiet, envelope.root)
        for name in {recipient.time_zone or zone for recipient in recipients}
    }
    for recipient in recipients:
        end = ends[recipient.time_zone or zone]
        if end is None:
            left.append(recipient)
        elif quiet.action is QuietAction.DEFER:
            plan.rows.append(put_off(envelope, recipient, Reason.QUIET_HOURS, end, now))
        else:
            plan.rows.append(row(envelope, recipient, Stage.SUPPRESSED, now, reason=Reason.QUIET_HOURS))
    return left
