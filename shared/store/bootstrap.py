"""Makes API keys: those that callers ask for, and the first one of all."""

from collections.abc import Sequence

from shared.api.manage import KeyAudit
from shared.model.audit import BOOTSTRAP, record_change
from shared.model.clock import Clock
from shared.model.keys import ApiKey, new_secret
from shared.model.tenants import DEFAULT_TENANT
from shared.model.words import KeyKind, Scope
from shared.store.catalog import Catalog

FIRST_SCOPES = (Scope.MANAGE, Scope.SEND, Scope.READ, Scope.UNMASK)


def bootstrap(
    catalog: Catalog,
    clock: Clock,
    tenant: str = DEFAULT_TENANT,
    name: str = "first key",
    operator: bool | None = None,
) -> str:
    """Make a tenant, if there is none, and a live key that may do everything; return the key, to be shown once.

    operator: whether it may also change what belongs to the whole deployment; by default that of the tenant `default`
    may, which is the only one where a single team has a deployment to itself. Every call makes another key, so that an
    operator who lost the last one can come back in, and each person can have a first key of their own.
    """
    scopes = (
        (*FIRST_SCOPES, Scope.OPERATE) if (tenant == DEFAULT_TENANT if operator is None else operator) else FIRST_SCOPES
    )
    catalog.ensure_tenant(tenant)
    now = clock.now_ms()
    key, text = new_key(now, tenant, name, KeyKind.LIVE, scopes)
    view = KeyAudit.of(key).model_dump(mode="json")
    catalog.create_key(key, record_change(now, tenant, BOOTSTRAP, "create_key", f"key/{key.id}", None, view))
    return text


def new_key(
    now_ms: int,
    tenant: str,
    name: str,
    kind: KeyKind,
    scopes: Sequence[Scope],
    recipients: Sequence[str] = (),
    expires_at: int | None = None,
    lineage: Sequence[str] = (),
    texts_per_day: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key, to be saved; return it and its text, of which it holds only a hash.

    recipients: of a team key, normalised, as `channel:address`. expires_at: milliseconds since the epoch. lineage: the
    keys that it descends from.
    """
    key_id, text, digest = new_secret(kind)
    key = ApiKey(
        id=key_id,
        tenant=tenant,
        name=name,
        kind=kind,
        scopes=list(scopes),
        recipients=list(recipients),
        hash=digest,
        created_at=now_ms,
        expires_at=expires_at,
        lineage=list(lineage),
        texts_per_day=texts_per_day,
    )
    return key, text
