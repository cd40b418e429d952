"""The operations on the suppression list. Addresses are never in a URL, in a log or in the audit log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from functions.manage.deps import ManageDeps
from functions.manage.template_checks import topics_of
from shared.api.audit import Auditor
from shared.api.kit import Call, OperationFunction
from shared.api.suppressions import (
    ImportAudit,
    ImportReport,
    RowResult,
    SuppressionAdd,
    SuppressionAudit,
    SuppressionChange,
    SuppressionImport,
    SuppressionPage,
    SuppressionQuery,
    SuppressionRemove,
    SuppressionRow,
    SuppressionView,
)
from shared.errors import ConflictError, FieldError, InvalidError, invalid_field
from shared.model.address import AddressError, normalise
from shared.model.audit import AuditRecord
from shared.model.ids import Tagger
from shared.model.suppression import (
    MAX_NOTE,
    Suppressed,
    SuppressionEntry,
    SuppressionReason,
    SuppressionScope,
)
from shared.model.words import Channel
from shared.policy.suppression import stops_nothing
from shared.store.catalog_items import CatalogConflictError, CursorError

_NO_EFFECT = "verification ignores unsubscribes, so this would stop nothing; give the reason `manual`"
_BUSY = "Others are changing the same recipients; try again."


def suppression_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on the suppression list, by id."""
    found = SuppressionOperations(deps)
    return {
        "add_suppression": found.add,
        "remove_suppression": found.remove,
        "query_suppressions": found.query,
        "import_suppressions": found.take,
    }


class Naming:
    """Names recipients of one channel as the platform does when it accepts a message."""

    def __init__(self, deps: ManageDeps, tenant: str, channel: Channel) -> None:
        found = deps.catalog.ensure_tenant(tenant)
        self._tenant = tenant
        self._channel = channel
        self._region = found.region
        self._tagger = Tagger(found.salt, channel.value)

    def __call__(self, address: str) -> Suppressed:
        """A recipient without entries. Raises: AddressError."""
        to = normalise(self._channel.value, address, self._region)
        return Suppressed(tenant=self._tenant, channel=self._channel, address=to, tag=self._tagger(to))


class SuppressionOperations:
    """The operations."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps
        self._store = deps.suppressions
        self._auditor = Auditor(deps.catalog, deps.clock)

    def add(self, call: Call) -> SuppressionChange:
        """Add an entry; one that is there already stays as it is. Raises: ConflictError, InvalidError."""
        body: SuppressionAdd = call.body
        if stops_nothing(body.scope, body.reason):
            raise invalid_field("reason", _NO_EFFECT)
        if body.topic is not None and body.topic not in topics_of(self._deps.catalog, call.caller.tenant):
            raise invalid_field("topic", "is none of the topics in the settings")
        entry = SuppressionEntry(
            scope=body.scope,
            reason=body.reason,
            topic=body.topic,
            at=self._deps.clock.now_ms(),
            by=call.caller.key_id,
            note=body.note,
        )
        recipient = self._recipient(call, body.channel, body.address)
        before, after = self._change(call, recipient, [entry], None)
        changed = len(after.entries) - len(before.entries)
        return SuppressionChange(changed=changed, suppression=SuppressionView.of(after))

    def remove(self, call: Call) -> SuppressionChange:
        """Remove entries; those that are not there are no error. Raises: ConflictError, InvalidError."""
        body: SuppressionRemove = call.body
        recipient = self._recipient(call, body.channel, body.address)
        before, after = self._change(call, recipient, [], body)
        changed = len(before.entries) - len(after.entries)
        return SuppressionChange(changed=changed, suppression=SuppressionView.of(after))

    def query(self, call: Call) -> SuppressionPage:
        """A page of the list, or the one recipient that is asked for. Raises: InvalidError."""
        body: SuppressionQuery = call.body

        def wanted(recipient: Suppressed) -> bool:
            return body.reason is None or any(each.reason is body.reason for each in recipient.entries)

        tenant = call.caller.tenant
        if body.address is not None and body.channel is not None:
            one = self._recipient(call, body.channel, body.address)
            there = self._store.load_all(tenant, body.channel, [one.tag]).values()
            return SuppressionPage(suppressions=[SuppressionView.of(s.value) for s in there if wanted(s.value)])
        channels = list(Channel) if body.channel is None else [body.channel]
        try:
            page = self._store.page(tenant, channels, wanted, body.limit, body.cursor)
        except CursorError:
            raise invalid_field("cursor", "give back the cursor of an earlier page as it was") from None
        return SuppressionPage(suppressions=[SuppressionView.of(each) for each in page.items], cursor=page.cursor)

    def take(self, call: Call) -> ImportReport:
        """Import rows; each is reported. What would be added is recorded before it is. Raises: ConflictError."""
        body: SuppressionImport = call.body
        naming = Naming(self._deps, call.caller.tenant, body.channel)
        topics = topics_of(self._deps.catalog, call.caller.tenant) if any(row.topic for row in body.rows) else {}
        rows = Rows(body, naming, self._deps.clock.now_ms(), call.caller.key_id, topics)
        there = self._store.load_all(call.caller.tenant, body.channel, list(rows.wanted))
        report = rows.report({tag: stored.value for tag, stored in there.items()})
        if report.added:
            self._deps.audit.add(self._import_record(call, body, report))
            try:
                self._store.add_all(list(rows.wanted.values()), there)
            except CatalogConflictError:
                raise ConflictError(_BUSY) from None
        return report

    def _recipient(self, call: Call, channel: Channel, address: str) -> Suppressed:
        try:
            return Naming(self._deps, call.caller.tenant, channel)(address)
        except AddressError as error:
            raise invalid_field("address", str(error)) from None

    def _change(
        self,
        call: Call,
        recipient: Suppressed,
        entries: Sequence[SuppressionEntry],
        remove: SuppressionRemove | None,
    ) -> tuple[Suppressed, Suppressed]:
        def change(found: Suppressed) -> Suppressed:
            return found.plus(entries) if remove is None else found.minus(remove.scope, remove.reason, remove.topic)

        def record(before: Suppressed, after: Suppressed) -> AuditRecord:
            target = f"suppression/{recipient.channel}/{recipient.tag}"
            return self._auditor.record(call, target, SuppressionAudit.of(before), SuppressionAudit.of(after))

        try:
            return self._store.change(recipient, change, record)
        except CatalogConflictError:
            raise ConflictError(_BUSY) from None

    def _import_record(self, call: Call, body: SuppressionImport, report: ImportReport) -> AuditRecord:
        counts = report.model_dump(exclude={"rows"})
        after = ImportAudit(channel=body.channel, scope=body.scope, reason=body.reason, **counts)
        return self._auditor.record(call, f"suppression/{body.channel}", None, after)


@dataclass
class Rows:
    """The rows of an import."""

    body: SuppressionImport
    naming: Naming
    now: int
    by: str
    topics: Collection[str] = ()
    """Of the settings."""
    wanted: dict[str, Suppressed] = field(default_factory=dict)
    """By tag, the recipients with the entries that the rows ask for."""
    _read: list[tuple[str, SuppressionEntry] | FieldError] = field(default_factory=list)

    def __post_init__(self) -> None:
        for each in self.body.rows:
            try:
                recipient, entry = self._recipient(each), self._entry(each)
            except InvalidError as error:
                self._read += error.errors
                continue
            self.wanted[recipient.tag] = self.wanted.get(recipient.tag, recipient).plus([entry])
            self._read.append((recipient.tag, entry))

    def report(self, there: dict[str, Suppressed]) -> ImportReport:
        """What becomes of each row; there: those on the list before, by tag. A row that repeats another is there."""
        results = []
        seen = {(tag, *e.name) for tag, found in there.items() for e in found.entries}
        for index, read in enumerate(self._read):
            if isinstance(read, FieldError):
                results.append(RowResult(index=index, status="invalid", field=read.field, detail=read.message))
                continue
            tag, entry = read
            name = (tag, *entry.name)
            results.append(RowResult(index=index, status="already_there" if name in seen else "added"))
            seen.add(name)
        counts = {status: sum(r.status == status for r in results) for status in ("added", "already_there", "invalid")}
        return ImportReport(**counts, rows=results)

    def _recipient(self, row: SuppressionRow) -> Suppressed:
        if not row.address.strip():
            raise invalid_field("address", "the address is empty")
        try:
            return self.naming(row.address)
        except AddressError as error:
            raise invalid_field("address", str(error)) from None

    def _entry(self, row: SuppressionRow) -> SuppressionEntry:
        scope, reason, note = row.scope or self.body.scope, row.reason or self.body.reason, row.note or ""
        if scope not in set(SuppressionScope):
            raise invalid_field("scope", f"give one of: {', '.join(SuppressionScope)}")
        if reason not in set(SuppressionReason):
            raise invalid_field("reason", f"give one of: {', '.join(SuppressionReason)}")
        if len(note) > MAX_NOTE:
            raise invalid_field("note", f"has more than {MAX_NOTE} characters")
        topic = row.topic or None
        if topic is not None and (scope != SuppressionScope.MARKETING or topic not in self.topics):
            raise invalid_field("topic", "give one of the topics in the settings, with the scope marketing")
        entry = SuppressionEntry(
            scope=SuppressionScope(scope),
            reason=SuppressionReason(reason),
            topic=topic,
            at=self.now,
            by=self.by,
            note=note,
        )
        if stops_nothing(entry.scope, entry.reason):
            raise invalid_field("reason", _NO_EFFECT)
        return entry
