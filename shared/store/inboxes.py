"""What is known of the mailboxes from which receipts are read.

| pk | sk | holds |
|---|---|---|
| `mailbox#<tenant>#<account>` | `state` | `InboxState` |
"""

from shared.model.inboxes import InboxState
from shared.store.catalog_items import Stored, conflicts, item_of, put_of
from shared.store.catalog_table import CatalogTable


class Inboxes(CatalogTable):
    """Reads and writes it."""

    def inbox(self, tenant: str, account: str) -> Stored[InboxState] | None:
        """What is known now of an account's mailbox; None if it was never looked at. Raises: what the table raises."""
        return self._load(InboxState, _pk(tenant, account), "state")

    def save(self, tenant: str, account: str, state: InboxState, over: int | None) -> int:
        """Replace a revision of it, or make the first; returns the new revision.

        Raises: CatalogConflictError if another was faster; what the table raises.
        """
        rev = (over or 0) + 1
        with conflicts():
            self._client.put_item(**put_of(self._table, item_of(_pk(tenant, account), "state", state, rev), over))
        return rev


def _pk(tenant: str, account: str) -> str:
    return f"mailbox#{tenant}#{account}"
