"""What a check of a sender's domain finds."""

from enum import StrEnum

from msgspec import Struct


class Check(StrEnum):
    """What is looked at."""

    DOMAIN = "domain"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    ALIGNMENT = "alignment"
    MAIL_FROM = "mail_from"
    MX = "mx"
    TLS = "tls"
    BIMI = "bimi"


class State(StrEnum):
    """How it is."""

    OK = "ok"
    NOTE = "note"
    """Not needed to land."""
    WARNING = "warning"
    """It lands today, or at most receivers."""
    FAILED = "failed"
    """Large receivers refuse such mail, or put it into spam."""
    UNKNOWN = "unknown"
    """The DNS did not answer."""


class Record(Struct, frozen=True):
    """A record to copy into the domain's zone."""

    name: str
    type: str
    value: str


class Finding(Struct, frozen=True):
    """One thing found. `code` names its words in `shared.policy.landing.words`, which hold places for `facts`."""

    check: Check
    state: State
    code: str
    found: str = ""
    """The record as it is."""
    facts: dict[str, str] = {}
    record: Record | None = None
    """What to publish instead, or beside it."""


class Sender(Struct, frozen=True):
    """Who sends for the domain, as far as it is known."""

    include: str = ""
    """What the domain's SPF record has to include for the sender's servers; empty if nobody knows."""
    envelope: str = ""
    """The domain of the envelope's sender, which SPF looks at; empty for the domain itself."""
    signer: str = ""
    """The domain that signs, where the keys lie; empty for the domain itself."""
    selectors: tuple[str, ...] = ()
    """Under these names the sender's DKIM keys lie."""
    targets: dict[str, str] = {}
    """By selector: where a CNAME has to lead, if the sender holds the key."""
    feedback: str = ""
    """The host to which the MX record of `envelope` has to lead."""
