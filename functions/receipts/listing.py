"""Puts recipients on the suppression list of whom a receipt says that nothing more should be sent to them.

An entry names the message from which it comes. Who is on the list for the same already stays as they are.
"""

from collections import defaultdict
from collections.abc import Sequence

from functions.receipts.matching import Matched
from functions.receipts.soft_bounces import SoftBounces
from shared.model.ids import tag_of
from shared.model.suppression import MAX_NOTE, Suppressed, SuppressionEntry, SuppressionReason
from shared.model.words import Channel, KeyKind
from shared.policy.suppression import scope_of
from shared.store.suppressions import Suppressions

BY = "receipt"
"""Who has put an entry on the list, where others have the id of a key."""


class Listing:
    """Feeds the suppression list."""

    def __init__(self, suppressions: Suppressions, soft_bounces: SoftBounces) -> None:
        self._suppressions = suppressions
        self._soft_bounces = soft_bounces

    def add(self, matches: Sequence[Matched], now: int) -> None:
        """List whom receipts are reason to list. Raises: CatalogConflictError; what the table raises."""
        wanted: dict[tuple[str, Channel], dict[str, Suppressed]] = defaultdict(dict)
        for match in matches:
            why = match.receipt.suppresses
            if why is None and self._soft_bounces.full(match, now):
                why = SuppressionReason.BOUNCE
            if why is not None and match.event.kind != KeyKind.TEST:
                recipient = _recipient(match, why, now)
                some = wanted[recipient.tenant, recipient.channel]
                before = some.get(recipient.tag)
                some[recipient.tag] = recipient if before is None else before.plus(recipient.entries)
        for (tenant, channel), recipients in wanted.items():
            there = self._suppressions.load_all(tenant, channel, list(recipients))
            self._suppressions.add_all(list(recipients.values()), there)


def _recipient(match: Matched, why: SuppressionReason, now: int) -> Suppressed:
    """The recipient with the entry that a receipt is reason for."""
    receipt, event = match.receipt, match.event
    entry = SuppressionEntry(
        scope=scope_of(why),
        reason=why,
        at=now,
        by=BY,
        note=(receipt.code or "")[:MAX_NOTE],
        message=match.message_id,
    )
    return Suppressed(
        tenant=match.tenant,
        channel=Channel(event.channel),
        # Not all vendors name the address; the list goes by the tag.
        address=receipt.address or event.masked_address or "",
        tag=tag_of(match.message_id),
        entries=[entry],
    )
