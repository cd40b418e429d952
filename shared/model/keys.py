"""API keys: `mp_<kind>_<id>_<secret>`. Only a hash of the secret is stored."""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from pydantic import ConfigDict, Field

from shared.model.base import Model
from shared.model.ids import ALPHABET
from shared.model.tenants import TextsPerDay
from shared.model.words import KeyKind, Scope

_SHAPE = re.compile(r"^mp_(live|team|test)_([0-9a-z]{12})_([0-9a-z]{40})$")
MAX_LINEAGE = 10
"""So many makers a key has at most: each is looked at when it is used."""


class ParsedKey(NamedTuple):
    """The parts of a key as a caller presents it."""

    kind: KeyKind
    id: str
    secret: str


class ApiKey(Model):
    """A stored key."""

    model_config = ConfigDict(extra="forbid")

    id: str
    tenant: str
    name: str = Field(min_length=1, max_length=100)
    kind: KeyKind
    scopes: list[Scope] = Field(min_length=1)
    recipients: list[str] = Field(default_factory=list, max_length=100)
    """For team keys, the normalised addresses it may send to, as `channel:address`."""
    hash: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    lineage: list[str] = Field(default_factory=list, max_length=MAX_LINEAGE)
    """The ids of the keys that it descends from, the first one first and its maker last; none for one made by
    `infra.first_key`, or before keys knew who made them."""
    texts_per_day: TextsPerDay | None = None
    """How many texts it may send on a day (UTC); without one the settings say."""

    @property
    def person(self) -> str:
        """Whose key it is: a key and all that descend from it belong to one person, named by the first of them."""
        return self.lineage[0] if self.lineage else self.id

    def ended(self, now_ms: int) -> bool:
        """Whether it has been revoked or has expired, whatever became of those that made it."""
        return self.revoked_at is not None or (self.expires_at is not None and now_ms >= self.expires_at)

    def matches(self, secret: str) -> bool:
        """Whether `secret` is this key's, compared in constant time."""
        return hmac.compare_digest(self.hash, hash_secret(secret))


def hash_secret(secret: str) -> str:
    """SHA-256 of a secret. It has 200 random bits, so a slow password hash would protect nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_key(text: str) -> ParsedKey | None:
    """Take a presented key apart; None if it has not the shape of one."""
    match = _SHAPE.match(text)
    return ParsedKey(KeyKind(match[1]), match[2], match[3]) if match else None


def new_secret(kind: KeyKind) -> tuple[str, str, str]:
    """Draw a key: (key id, the whole key to show once, hash to store)."""
    key_id, secret = _draw(12), _draw(40)
    return key_id, f"mp_{kind}_{key_id}_{secret}", hash_secret(secret)


def _draw(n: int) -> str:
    return "".join(secrets.choice(ALPHABET.lower()) for _ in range(n))
