"""The events of a WeCom app that say something to us, and how they lie on the queue.

After WeCom docs, path 90240 (events).
"""

import msgspec
from msgspec import Struct

PRESSED = frozenset({"template_card_event", "template_card_menu_event"})
"""Somebody pressed a button of a card, or chose from its menu."""
LEFT = "unsubscribe"
"""A member may not see the app any more."""
ALERTS = frozenset(
    {
        *("inactive_alert", "close_inactive_agent", "reopen_inactive_agent"),
        *("low_active_alert", "low_active", "active_restored"),
    }
)
"""WeCom warns that it suspends an app that is little used, does so, or takes it back."""
EVENTS = PRESSED | {LEFT} | ALERTS


class Event(Struct, omit_defaults=True):
    """What we use of an event."""

    event: str
    at: int
    """In milliseconds since the epoch; WeCom has seconds."""
    member: str = ""
    """Whose doing it was."""
    task_id: str = ""
    key: str = ""
    """Of the button."""
    response_code: str = ""
    """By which the card may be changed, once and within 72 hours."""


def as_json(event: Event) -> str:
    """As it lies on the queue."""
    return msgspec.json.encode(event).decode()
