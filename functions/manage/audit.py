"""Reads the audit log."""

from functions.manage.deps import ManageDeps
from shared.api.governance import AuditPage, AuditQuery, AuditView
from shared.api.kit import Call, OperationFunction
from shared.errors import invalid_field
from shared.store.audit import AuditSearch
from shared.store.catalog_items import CursorError

CLOCKS_MS = 86_400_000
"""How far clocks may differ: the first key of a tenant is made on somebody's own machine."""


def audit_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on the audit log, by id."""

    def page(call: Call) -> AuditPage:
        query: AuditQuery = call.query
        tenant = deps.catalog.tenant(call.caller.tenant)
        # Nothing was changed before the tenant was there, and nothing in the future.
        after = deps.clock.now_ms() if tenant is None else tenant.created_at - CLOCKS_MS
        before = deps.clock.now_ms() + CLOCKS_MS
        if query.after is not None:
            after = max(after, int(query.after.timestamp() * 1000))
        if query.before is not None:
            before = min(before, int(query.before.timestamp() * 1000))
        search = AuditSearch(after, before, query.who, query.target, query.action)
        try:
            found = deps.audit.page(call.caller.tenant, search, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        return AuditPage(records=[AuditView.of(record) for record in found.items], cursor=found.cursor)

    return {"list_audit": page}
