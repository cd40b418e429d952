"""The operations on API keys. A key's text is answered once, when it is made; only its hash is kept."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from functions.manage.deps import ManageDeps
from shared.api.audit import Auditor
from shared.api.kit import Call, Caller, OperationFunction
from shared.api.manage import KeyCreate, KeyCreated, KeyList, KeyView
from shared.model.address import AddressError, normalise
from shared.model.problems import FieldError, ProblemError, conflict, invalid, invalid_field, not_found
from shared.model.words import Channel, KeyKind
from shared.store.bootstrap import new_key
from shared.store.catalog_items import CatalogConflictError

MAX_AHEAD_MS = 10 * 366 * 86_400_000
_ATTEMPTS = 5


def key_operations(deps: ManageDeps) -> dict[str, OperationFunction]:
    """The operations on keys, by id."""
    keys = Keys(deps)
    return {"create_key": keys.create, "list_keys": keys.list, "revoke_key": keys.revoke}


class Keys:
    """The operations."""

    def __init__(self, deps: ManageDeps) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.catalog, deps.clock)

    def create(self, call: Call) -> KeyCreated:
        """Make a key that may do no more than the caller's."""
        body: KeyCreate = call.body
        _check_rights(call.caller, body)
        recipients = self._recipients(call.caller, body)
        expires_at = self._expiry(body.expires_at)
        scopes = list(dict.fromkeys(body.scopes))
        key, text = new_key(
            self._deps.clock.now_ms(), call.caller.tenant, body.name, body.kind, scopes, recipients, expires_at
        )
        view = KeyView.of(key)
        self._deps.catalog.create_key(key, self._auditor.record(call, f"key/{key.id}", None, view))
        return KeyCreated(**view.model_dump(), key=text)

    def list(self, call: Call) -> KeyList:
        """All keys of the caller's tenant, the newest first; revoked ones too."""
        keys = self._deps.catalog.list_keys(call.caller.tenant)
        return KeyList(keys=[KeyView.of(key) for key in sorted(keys, key=lambda key: (-key.created_at, key.id))])

    def revoke(self, call: Call) -> None:
        """Revoke a key; the authorizers learn of it within 30 seconds. Doing it again changes nothing."""
        for _ in range(_ATTEMPTS):
            found = self._deps.catalog.load_key(call.caller.tenant, call.path["id"])
            if found is None:
                raise not_found("key")
            if found.value.revoked_at is not None:
                return
            key = found.value.model_copy(update={"revoked_at": self._deps.clock.now_ms()})
            record = self._auditor.record(call, f"key/{key.id}", KeyView.of(found.value), KeyView.of(key))
            # A conflict: someone else revokes it in this moment, and there is nothing left to do the next time.
            with suppress(CatalogConflictError):
                return self._deps.catalog.update_key(key, found.rev, record)
        raise conflict("Others are changing this key; look at it and try again.")

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

    def _expiry(self, at: datetime | None) -> int | None:
        if at is None:
            return None
        expires_at, now = int(at.timestamp() * 1000), self._deps.clock.now_ms()
        if expires_at <= now:
            raise invalid_field("expires_at", "this time is over")
        if expires_at - now > MAX_AHEAD_MS:
            raise invalid_field("expires_at", "a key expires within ten years, or never")
        return expires_at


def _check_rights(caller: Caller, body: KeyCreate) -> None:
    """A key must not be a way to more than the caller has. Raises: ProblemError 403."""
    lacking = [scope for scope in body.scopes if scope not in caller.scopes]
    if lacking:
        raise _forbidden("scopes", f"Your own key lacks the scope `{lacking[0]}`, so it cannot give it.")
    # Whom a team key may send to is not known here, so it cannot be compared: it may make test keys only.
    if caller.kind is not KeyKind.LIVE and body.kind is not KeyKind.TEST:
        raise _forbidden("kind", f"A {caller.kind} key can make test keys only.")


def _forbidden(field: str, detail: str) -> ProblemError:
    errors = [FieldError(field=field, message=detail)]
    return ProblemError(403, "forbidden", "The API key may not do this", detail, errors)


def _recipient(text: str, region: str) -> str:
    """`channel:address`, normalised. Raises: AddressError."""
    name, colon, address = text.partition(":")
    name = name.strip().lower()
    if not colon or name not in set(Channel):
        raise AddressError(f"begin with the channel: {', '.join(f'{channel}:' for channel in Channel)}")
    return f"{name}:{normalise(name, address, region)}"
