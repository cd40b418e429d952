"""Tells the other functions who calls, from the API key (HTTP API, REQUEST authorizer, payload 2.0, simple responses).

It always lets the request through: only a function can answer with a problem detail that says what is wrong with the
key, and functions refuse every call that comes without a tenant or with a `problem`.
"""

from collections.abc import Mapping
from typing import Any

from functions.authorize.deps import AuthorizeDeps, deps
from shared.model.clock import iso
from shared.model.keys import ApiKey, hash_secret, parse_key
from shared.model.words import KeyKind, Scope
from shared.wiring.starting import start

MISSING = "Give an API key: Authorization: Bearer mp_..."
MALFORMED = "This is not an API key; the header must read Authorization: Bearer mp_<kind>_<id>_<secret>."
# The same words for an unknown id and a wrong secret: who holds none of the two need not know which.
UNKNOWN = "There is no such API key; check that it was copied whole."
REVOKED = "This API key has been revoked; ask for another."
MAKER_ENDED = "A key that this API key descends from has been revoked or has expired; ask for another."
_NOBODYS = ApiKey(
    id="", tenant="", name="-", kind=KeyKind.TEST, scopes=[Scope.READ], hash=hash_secret(""), created_at=0
)


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
    key = parts.keys.key(parsed.id)
    # Of an unknown id the secret is compared as well. That a known one may be in memory already shows in the time all
    # the same, and tells nobody anything: an id has 60 random bits, is no secret, and opens nothing.
    good = (key or _NOBODYS).matches(parsed.secret)
    if key is None or not good or key.kind is not parsed.kind:
        return UNKNOWN
    return _problem(key, parts) or key


def _problem(key: ApiKey, parts: AuthorizeDeps) -> str | None:
    """Why a key does not work any more; None if it does."""
    if key.revoked_at is not None:
        return REVOKED
    if key.expires_at is not None and parts.clock.now_ms() >= key.expires_at:
        return f"This API key expired at {iso(key.expires_at)}; ask for another."
    if parts.keys.ended_maker(key, parts.clock.now_ms()) is not None:
        return MAKER_ENDED
    return None


start(deps)
