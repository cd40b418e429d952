"""The suppression list, asked once for an envelope at every try."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from shared.dispatch.plan import Plan
from shared.lifecycle.verdict import row
from shared.model.envelope import EnvelopeRecipient
from shared.model.reasons import Reason
from shared.model.suppression import SuppressionEntry
from shared.model.words import Channel, Stage
from shared.policy.suppression import stopped_by


class Suppressions(Protocol):
    """Where it is read who must not be written to."""

    def find(
        self, tenant: str, channel: Channel, tags: Collection[str]
    ) -> Mapping[str, Sequence[SuppressionEntry]]: ...


def unstopped(
    plan: Plan, recipients: Sequence[EnvelopeRecipient], suppressions: Suppressions, now: int
) -> list[EnvelopeRecipient]:
    """Those that the list does not stop; for the others the plan has a row.

    Asking about an earlier try sends nothing, so who is to be asked about is not looked for in the list.
    """
    envelope, left = plan.envelope, []
    tags = [r.tag for r in recipients if r.index not in envelope.ask_account]
    entries = suppressions.find(envelope.tenant, envelope.channel, tags) if tags else {}
    for recipient in recipients:
        found = () if recipient.index in envelope.ask_account else entries.get(recipient.tag, ())
        reason = stopped_by(found, envelope.message_class)
        if reason is None:
            left.append(recipient)
            continue
        plan.rows.append(row(envelope, recipient, Stage.SUPPRESSED, now, reason=Reason(f"suppressed_{reason}")))
    return left
