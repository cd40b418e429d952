"""The closed vocabularies that every part of the platform shares."""

from enum import StrEnum


class Channel(StrEnum):
    """The road a message takes to a person."""

    EMAIL = "email"
    SMS = "sms"
    WECOM = "wecom"


class MessageClass(StrEnum):
    """What a message is for: it picks the queue, the retry schedule and the policies."""

    VERIFICATION = "verification"
    NOTIFICATION = "notification"
    MARKETING = "marketing"


class KeyKind(StrEnum):
    """What an API key may reach: everyone, an allow-list, or nobody (simulated)."""

    LIVE = "live"
    TEAM = "team"
    TEST = "test"


class Scope(StrEnum):
    """What an API key may do. operate: change what belongs to the whole deployment, with all its tenants. unmask: see
    whole addresses, besides what its other scopes allow; each look is recorded."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"
    OPERATE = "operate"
    UNMASK = "unmask"


class Until(StrEnum):
    """What must be known of a message so that the one by which it falls back is not sent."""

    SENT = "sent"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"


class Stage(StrEnum):
    """A fact about a message. Status is folded from these, never stored."""

    REJECTED = "rejected"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    RETRYING = "retrying"

    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    DUPLICATE = "duplicate"
    CAPPED = "capped"
    EXPIRED = "expired"
    RECALLED = "recalled"
    UNKNOWN = "unknown"
    DEAD_LETTERED = "dead_lettered"

    REDRIVEN = "redriven"
    DISCARDED = "discarded"

    DELAYED = "delayed"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    OPENED = "opened"
    CLICKED = "clicked"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    WITHDRAWN = "withdrawn"

    FELL_BACK = "fell_back"
    """Sent, but not known to have arrived, or to be acknowledged, in time: another message takes its place. It says
    nothing of the status."""


OUTCOMES: frozenset[Stage] = frozenset(
    {
        Stage.SENT,
        Stage.FAILED,
        Stage.SUPPRESSED,
        Stage.DUPLICATE,
        Stage.CAPPED,
        Stage.EXPIRED,
        Stage.RECALLED,
        Stage.UNKNOWN,
        Stage.DEAD_LETTERED,
    }
)
"""The stages that close a message: each accepted message reaches exactly one (again after a redrive)."""
