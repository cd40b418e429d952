"""Which entries of the suppression list stop which class of messages."""

from collections.abc import Iterable

from shared.model.suppression import SuppressionEntry, SuppressionReason, SuppressionScope
from shared.model.words import MessageClass

_FIRST = (
    SuppressionReason.MANUAL,
    SuppressionReason.BOUNCE,
    SuppressionReason.PROVIDER,
    SuppressionReason.COMPLAINT,
    SuppressionReason.UNSUBSCRIBE,
)
"""Of several reasons the one that is told: what somebody decided, then what cannot change by itself."""


def stopped_by(
    entries: Iterable[SuppressionEntry], message_class: MessageClass, topic: str | None = None
) -> SuppressionEntry | None:
    """The entry for which a message of this class must not be sent; None if it may. topic: of its template, if it
    has one.

    Verification ignores unsubscribes: who has asked for a code a moment ago wants it.
    """
    found = {
        each.reason: each
        for each in entries
        if each.topic in (None, topic) and stops(each.scope, each.reason, message_class)
    }
    return next((found[reason] for reason in _FIRST if reason in found), None)


def stops(scope: SuppressionScope, reason: SuppressionReason, message_class: MessageClass) -> bool:
    """Whether an entry of this scope and reason stops messages of a class."""
    if message_class is MessageClass.VERIFICATION and reason is SuppressionReason.UNSUBSCRIBE:
        return False
    return scope in (SuppressionScope.ALL, message_class.value)


def wants_no_tracking(entries: Iterable[SuppressionEntry]) -> bool:
    """Whether a recipient's openings and clicks are not to be told."""
    return any(each.scope is SuppressionScope.TRACKING for each in entries)


def scope_of(reason: SuppressionReason) -> SuppressionScope:
    """What a recipient is put on the list for by receipts: who unsubscribes by a reply means what advertises."""
    return SuppressionScope.MARKETING if reason is SuppressionReason.UNSUBSCRIBE else SuppressionScope.ALL


def stops_nothing(scope: SuppressionScope, reason: SuppressionReason) -> bool:
    """Whether an entry would have no effect at all."""
    return scope is not SuppressionScope.TRACKING and not any(
        stops(scope, reason, message_class) for message_class in MessageClass
    )
