"""Verifications: what is kept of a code or a link that was sent to somebody to prove that they have an address."""

from enum import StrEnum

from msgspec import Struct, field


class ProofKind(StrEnum):
    """How somebody proves that they got it."""

    CODE = "code"
    """They enter digits."""
    LINK = "link"
    """They follow a link and press a button."""


class Proof(Struct, frozen=True, omit_defaults=True, rename={"generation": "g", "length": "n", "country": "cc"}):
    """What an envelope has of a verification: enough to derive the code or the link, and neither of them."""

    id: str
    """Of the verification."""
    generation: int
    length: int = 0
    """Of the code, in digits; 0 for a link."""
    minutes: int = 0
    """How long it is valid, as the template may show it."""
    country: str | None = None
    """Of the number that gets a text, or may get one by a fallback (ISO 3166), where that is known."""

    @property
    def kind(self) -> ProofKind:
        """Whether it is a code or a link."""
        return ProofKind.CODE if self.length else ProofKind.LINK


class State(StrEnum):
    """How far a verification is, as it is kept. That its time is over, or that it is locked, follows from the rest."""

    OPEN = "open"
    APPROVED = "approved"
    CANCELLED = "cancelled"


_KEYS = {
    "purpose": "p",
    "template": "t",
    "generation": "g",
    "length": "n",
    "started_at": "at",
    "valid_until": "until",
    "checks": "c",
    "state": "s",
    "decided_at": "end",
    "messages": "m",
    "bind": "b",
    "prefix": "x",
    "texts": "sms",
    "country": "cc",
    "test": "test",
}


class Verification(Struct, kw_only=True, omit_defaults=True, frozen=True, rename=_KEYS):
    """One verification of an address. Times are in milliseconds since the epoch."""

    id: str
    purpose: str
    template: str
    version: int = 0
    channel: str
    kind: str = "live"
    """Of the key that started it."""
    generation: int
    length: int
    """See `Proof`."""
    minutes: int
    """How long it is valid after each time it is sent."""
    started_at: int
    valid_until: int
    checks: int = 0
    """Wrong ones so far."""
    state: State = field(default_factory=lambda: State.OPEN)
    decided_at: int | None = None
    """When it was approved or cancelled."""
    messages: tuple[str, ...] = ()
    """The ids of those that carried it."""
    bind: str | None = None
    """A digest of what the caller bound it to."""
    prefix: str | None = None
    """The first digits of the telephone number, if the guard against pumping counted its texts."""
    texts: int = 0
    """How many it counted."""
    country: str | None = None
    """See `Proof`."""

    @property
    def proof(self) -> Proof:
        """What its messages carry."""
        return Proof(self.id, self.generation, self.length, self.minutes, self.country)


class Address(Struct, kw_only=True, frozen=True):
    """What is kept of an address: its verifications, and how often something was sent to it."""

    revision: int = 0
    """Grows with each change; 0 for an address of which nothing is kept."""
    generation: int = 0
    """How many verifications it had."""
    sent: tuple[int, ...] = ()
    """When codes and links were sent, within the time of the cap."""
    locked: tuple[int, ...] = ()
    """When verifications were locked, within a day."""
    verifications: tuple[Verification, ...] = ()
    """Newest last."""

    def find(self, id: str) -> Verification | None:
        """The verification of an id, if it is still kept."""
        return next((each for each in self.verifications if each.id == id), None)
