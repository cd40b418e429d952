"""Puts recipients on the suppression list of whom a receipt says that nothing more should be sent to them.

An entry names the message from which it comes. Who is on the list for the same already stays as they are.
"""

from collections import defaultdict
from collections.abc import Sequence

from functions.receipts.matching import Matched
from shared.model.ids import tag_of
from shared.model.suppression import Suppressed, SuppressionEntry
from shared.model.words import Channel, KeyKind
from shared.policy.suppression import scope_of
from shared.store.suppressions import Suppressions

BY = "receipt"
"""Who has put an entry on the list, where others have the id of a key."""


class Listing:
    """Feeds the suppression list."""

    def __init__(self, suppressions: Suppressions) -> None:
        self._suppressions = suppressions

    def add(self, matches: Sequence[Matched], now: int) -> None:
        """List whom receipts are reason to list. Raises: CatalogConflictError; what the table raises."""
        wanted: dict[tuple[str, Channel], dict[str, Suppressed]] = defaultdict(dict)
        for match in matches:
            recipient = _recipient(match, now)
            if recipient is not None:
                some = wanted[recipient.tenant, recipient.channel]
                before = some.get(recipient.tag)
                some[recipient.tag] = recipient if before is None else before.plus(recipient.entries)
        for (tenant, channel), recipients in wanted.items():
            there = self._suppressions.load_all(tenant, channel, list(recipients))
            self._suppressions.add_all(list(recipients.values()), there)


def _recipient(match: Matched, now: int) -> Suppressed | None:
    """The recipient with the entry that a receipt is reason for; None if it is none, or of a test."""
    receipt, event = match.receipt, match.event
    if receipt.suppresses is None or event.kind == KeyKind.TEST:
        return None
    entry = SuppressionEntry(
        scope=scope_of(receipt.suppresses),
        reason=receipt.suppresses,
        at=now,
        by=BY,
        note=receipt.code or "",
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
