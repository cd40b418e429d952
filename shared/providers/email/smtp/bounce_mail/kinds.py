"""What a mail in a bounce mailbox may say."""

from msgspec import Struct


class Bounce(Struct, frozen=True, kw_only=True):
    """What a mail server reports of one recipient of one message."""

    action: str
    """As in RFC 3464: `failed`, `delayed`, `delivered`, `relayed` or `expanded`."""
    message_id: str | None = None
    """Ours, where the report names it."""
    address: str | None = None
    """The recipient, where the report names one."""
    status: str | None = None
    """The enhanced status code (RFC 3463), such as `5.1.1`."""
    diagnostic: str | None = None
    """What the recipient's server said, without addresses, cut."""


class Bounces(Struct, frozen=True):
    """A report, or a notice without one: of one recipient or several."""

    bounces: tuple[Bounce, ...]


class Complaint(Struct, frozen=True, kw_only=True):
    """A recipient has reported a message as spam (RFC 5965)."""

    kind: str
    """Such as `abuse`, or `not-spam`, which is none."""
    message_id: str | None = None
    address: str | None = None


class AutoReply(Struct, frozen=True):
    """A machine of the recipient's answered, or told that it was read: the message has arrived."""


class Unreadable(Struct, frozen=True):
    """A mail about a message of ours, from which cannot be told what became of which message."""

    kind: str
    """`report`, `notice`, `complaint`, or `mail` if not even that can be told."""
    reason: str
    """Of `REASONS`."""


Said = Bounces | Complaint | AutoReply | Unreadable | None
"""None: a mail of another kind, which is nobody's business here."""

REASONS = {
    "malformed": "The mail is not written as mails are.",
    "too_many_parts": "The mail has more parts than any report has.",
    "no_recipient": "It names neither a message of ours nor a recipient.",
    "several_recipients": "It names no message of ours and several addresses, so it may be about any of them.",
    "names_the_sender_alone": "It names no message of ours, and no address but the sender's own.",
    "no_failure_said": "It does not say that anything failed.",
    "unknown_action": "It reports something that is not in the standard (RFC 3464).",
    "cannot_be_fetched": "The server broke off each time that the mail was asked for.",
    "not_handed_over": "The server did not hand the mail over, or somebody has deleted it meanwhile.",
    "too_large": "The server sent more of the mail than it was asked for.",
}
"""Why a mail says too little, in words."""
