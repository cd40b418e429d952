"""Tells the other functions who calls, from the API key (HTTP API, REQUEST authorizer, payload 2.0, simple responses).

It always lets the request through: only a function can answer with a problem detail that says what is wrong with the
key, and functions refuse every call that comes without a tenant or with a `problem`.
"""

from collections.abc import Mapping
from typing import Any

from functions.authorize.deps import AuthorizeDeps, deps
from shared.model.clock import iso
from shared.model.keys import ApiKey, parse_key

MISSING = "Give an API key: Authorization: Bearer mp_..."
MALFORMED = "This is not an API key; the header must read Authorization: Bearer mp_<kind>_<id>_<secret>."
# The same for an unknown id and a wrong secret, so that nobody learns which ids exist.
UNKNOWN = "There is no such API key; check that it was copied whole."
REVOKED = "This API key has been revoked; ask for another."


def lambda_handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer one authorizer event. Raises when the catalog cannot be read, which the caller sees as a 500."""
    return {"isAuthorized": True, "context": authorize(event, deps())}


def authorize(event: Mapping[str, Any], parts: AuthorizeDeps) -> dict[str, str]:
    """Who calls: tenant, key_id, kind and scopes, and an empty `problem`; or only the problem, in a sentence."""
    found = _key(event.get("headers") or {}, parts)
    if isinstance(found, str):
        return {"tenant": "", "key_id": "", "kind": "", "scopes": "", "problem": found}
    scopes = " ".join(found.scopes)
    return {"tenant": found.tenant, "key_id": found.id, "kind": found.kind, "scopes": scopes, "problem": ""}


def _key(headers: Mapping[str, str], parts: AuthorizeDeps) -> ApiKey | str:
    """The caller's key, or what is wrong with it."""
    header = headers.get("authorization", "").strip()
    if not header:
        return MISSING
    scheme, _, text = header.partition(" ")
    parsed = parse_key(text.strip()) if scheme.lower() == "bearer" else None
    if parsed is None:
        return MALFORMED
    key = parts.catalog.key(parsed.id)
    if key is None or not key.matches(parsed.secret) or key.kind is not parsed.kind:
        return UNKNOWN
    if key.revoked_at is not None:
        return REVOKED
    if key.expires_at is not None and parts.clock.now_ms() >= key.expires_at:
        return f"This API key expired at {iso(key.expires_at)}; ask for another."
    return key
