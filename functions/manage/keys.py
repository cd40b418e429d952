"""The operations on API keys. A key's text is answered once, when it is made; only its hash is kept."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from functions.manage.deps import ManageDeps
from shared.api.audit import Auditor
from shared.api.kit import Call, Caller, OperationFunction
from shared.api.manage import KeyAudit, KeyCreate, KeyCreated, KeyList, KeyView
from shared.api.paging import PageQuery
from shared.errors import ConflictError, FieldError, forbidden, invalid, invalid_field, not_found
from shared.model.address import AddressError, normalise
from shared.model.clock import iso
from shared.model.keys import MAX_LINEAGE, ApiKey
from shared.model.words import Channel, KeyKind
from shared.store.bootstrap import new_key
from shared.store.catalog_items import CatalogConflictError, CursorError, Stored

MAX_AHEAD_MS = 10 * 366 * 86_400_000
_ATTEMPTS = 5


def key_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on keys, by id."""
    keys = Keys(deps)
    return {
        "create_key": keys.create,
        "list_keys": keys.page,
        "revoke_key": keys.revoke,
        "delete_key": keys.delete,
    }


class Keys:
    """The operations."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.catalog, deps.clock)

    def create(self, call: Call) -> KeyCreated:
        """Make a key that may do no more than the caller's, and ends with it.

        Raises: ForbiddenError, ConflictError, InvalidError.
        """
        body: KeyCreate = call.body
        _check_rights(call, body)
        lineage, end, texts = self._maker(call.caller)
        texts = _texts(body.texts_per_day, texts)
        recipients = self._recipients(call.caller, body)
        expires_at = self._expiry(body.expires_at, end)
        scopes = list(dict.fromkeys(body.scopes))
        now, tenant = self._deps.clock.now_ms(), call.caller.tenant
        key, text = new_key(now, tenant, body.name, body.kind, scopes, recipients, expires_at, lineage, texts)
        self._deps.catalog.create_key(key, self._auditor.record(call, f"key/{key.id}", None, KeyAudit.of(key)))
        return KeyCreated(**KeyView.of(key).model_dump(), key=text)

    def page(self, call: Call) -> KeyList:
        """A page of the tenant's keys by id, revoked ones too, that the caller reaches. Raises: InvalidError."""
        query: PageQuery = call.query
        try:
            page = self._deps.catalog.page_keys(call.caller.tenant, query.limit, query.cursor)
        except CursorError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        now, mine = self._deps.clock.now_ms(), [key for key in page.items if call.reaches(key.kind)]
        return KeyList(
            keys=[KeyView.of(key, self._deps.catalog.ended_maker(key, now)) for key in mine], cursor=page.cursor
        )

    def revoke(self, call: Call) -> None:
        """Revoke a key, and with it all that descend from it; the authorizers learn of it within 30 seconds.

        Doing it again changes nothing. Raises: ForbiddenError, NotFoundError, ConflictError.
        """

        def change(found: Stored[ApiKey]) -> None:
            if found.value.revoked_at is None:
                key = found.value.model_copy(update={"revoked_at": self._deps.clock.now_ms()})
                record = self._auditor.record(call, f"key/{key.id}", KeyAudit.of(found.value), KeyAudit.of(key))
                self._deps.catalog.update_key(key, found.rev, record)

        self._change(call, change)

    def delete(self, call: Call) -> None:
        """Take a key that has ended from the list.

        Raises: ForbiddenError, NotFoundError; ConflictError for one that still works.
        """

        def change(found: Stored[ApiKey]) -> None:
            now = self._deps.clock.now_ms()
            if not found.value.ended(now):
                raise ConflictError("The key still works. Revoke it first: DELETE /v1/keys/{id}.")
            key = found.value.model_copy(update={"revoked_at": found.value.revoked_at or now})
            record = self._auditor.record(call, f"key/{key.id}", KeyAudit.of(found.value), None)
            self._deps.catalog.delete_key(key, found.rev, record)

        self._change(call, change)

    def _change(self, call: Call, change: Callable[[Stored[ApiKey]], None]) -> None:
        """Change a key as it is now, again if another came first.

        Raises: ForbiddenError, NotFoundError, ConflictError; `change`'s.
        """
        for _ in range(_ATTEMPTS):
            found = self._deps.catalog.load_key(call.caller.tenant, call.path["id"])
            if found is None:
                raise not_found("key")
            call.require(found.value.kind, "key")
            with suppress(CatalogConflictError):
                return change(found)
        raise ConflictError("Others are changing this key; look at it and try again.")

    def _maker(self, caller: Caller) -> tuple[list[str], int | None, int | None]:
        """The lineage of a key that the caller makes, when the caller's own ends, and how many texts a day it may send.

        Raises: ConflictError.
        """
        maker = self._deps.catalog.fresh.key(caller.key_id)
        if maker is None:
            return [caller.key_id], None, None
        if len(maker.lineage) >= MAX_LINEAGE:
            raise ConflictError(
                f"Your key descends from {MAX_LINEAGE} others, and so it makes no more. Use one nearer to the first."
            )
        return [*maker.lineage, maker.id], maker.expires_at, maker.texts_per_day

    def _recipients(self, caller: Caller, body: KeyCreate) -> Sequence[str]:
        if body.kind is not KeyKind.TEAM:
            if body.recipients:
                raise invalid_field("recipients", "only team keys have recipients")
            return ()
        if not body.recipients:
            raise invalid_field("recipients", "a team key needs the recipients that it may send to")
        region = self._deps.catalog.ensure_tenant(caller.tenant).region
        found: dict[str, None] = {}
        errors = []
        for i, text in enumerate(body.recipients):
            try:
                found[_recipient(text, region)] = None
            except AddressError as error:
                errors.append(FieldError(field=f"recipients.{i}", message=str(error)))
        if errors:
            raise invalid(errors, "Give each recipient as channel:address, such as email:you@example.com.")
        return list(found)

    def _expiry(self, at: datetime | None, end: int | None) -> int | None:
        """end: of the caller's key, beyond which none that it makes works. Raises: ForbiddenError, InvalidError."""
        if at is None:
            return end
        expires_at, now = int(at.timestamp() * 1000), self._deps.clock.now_ms()
        if expires_at <= now:
            raise invalid_field("expires_at", "this time is over")
        if expires_at - now > MAX_AHEAD_MS:
            raise invalid_field("expires_at", "a key expires within ten years, or never")
        if end is not None and expires_at > end:
            raise forbidden(
                f"Your own key expires at {iso(end)}, so it cannot make one that lasts longer.", "expires_at"
            )
        return expires_at


def _check_rights(call: Call, body: KeyCreate) -> None:
    """A key must not be a way to more than the caller has. Raises: ForbiddenError."""
    caller = call.caller
    lacking = [scope for scope in body.scopes if scope not in caller.scopes]
    if lacking:
        raise forbidden(f"Your own key lacks the scope `{lacking[0]}`, so it cannot give it.", "scopes")
    if not call.reaches(body.kind):
        raise forbidden(f"A {caller.kind} key can make test keys only.", "kind")


def _texts(wanted: int | None, makers: int | None) -> int | None:
    """How many texts a day a key may send: no more than its maker. Raises: ForbiddenError."""
    if wanted is None or makers is None:
        return makers if wanted is None else wanted
    if wanted > makers:
        raise forbidden(f"Your own key may send {makers:,} texts a day, so it cannot give more.", "texts_per_day")
    return wanted


def _recipient(text: str, region: str) -> str:
    """`channel:address`, normalised. Raises: AddressError."""
    name, colon, address = text.partition(":")
    name = name.strip().lower()
    if not colon or name not in set(Channel):
        raise AddressError(f"begin with the channel: {', '.join(f'{channel}:' for channel in Channel)}")
    return f"{name}:{normalise(name, address, region)}"
