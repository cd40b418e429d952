"""Why the rows of a run are among those that another run follows up, or are not."""

from enum import StrEnum


class Why(StrEnum):
    """What became of a row."""

    PICKED = "picked"

    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    HELD_OUT = "held_out"

    SENT = "sent"
    NOT_SENT = "not_sent"
    MAYBE_SENT = "maybe_sent"
    NO_OUTCOME = "no_outcome"

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNDELIVERED_FOR_NOW = "undelivered_for_now"
    NOT_UNDELIVERED = "not_undelivered"
    OPENED = "opened"
    CLICKED = "clicked"
    ACKNOWLEDGED = "acknowledged"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    TOO_RECENT = "too_recent"
    ACCOUNT_SILENT = "account_silent"


EXPLANATIONS: dict[str, str] = {
    Why.PICKED: "They are written to again.",
    Why.REJECTED: "The row could not be sent, so there was no message.",
    Why.DUPLICATE: "The address stands further up in the file.",
    Why.HELD_OUT: "They are in the run's holdout group, which gets nothing.",
    Why.SENT: "A provider took the message.",
    Why.NOT_SENT: "No message is known to have been sent: it failed, or was stopped, as by the suppression list.",
    Why.MAYBE_SENT: "Nobody can say whether the message was sent; another one could be the second.",
    Why.NO_OUTCOME: "The message was never queued, has no outcome yet, or nothing is known of it any more.",
    Why.DELIVERED: "The message was delivered.",
    Why.UNDELIVERED: "The message came back for good.",
    Why.UNDELIVERED_FOR_NOW: "The message came back for now, as from a full mailbox; so something was said of it.",
    Why.NOT_UNDELIVERED: "Nobody said that the message came back for good.",
    Why.OPENED: "The message was opened.",
    Why.CLICKED: "A link of the message was clicked.",
    Why.ACKNOWLEDGED: "They said that they have it.",
    Why.COMPLAINED: "They reported the message as spam.",
    Why.UNSUBSCRIBED: "They do not want more of it.",
    Why.TOO_RECENT: "The message was sent too short a time ago: it may still be said. Start another run later.",
    Why.ACCOUNT_SILENT: "The message went through an account whose provider never says that anything was delivered.",
}
