"""What callers read about bounce mailboxes."""

from datetime import datetime

from shared.model.base import Model


class MailboxProblem(Model):
    """Why a mailbox could not be read."""

    at: datetime
    code: str
    summary: str
    """In words."""
    action: str
    """What to do."""


class MailboxCounts(Model):
    """The mails since the mailbox was first read, by what they were."""

    bounces: int
    complaints: int
    auto_replies: int
    """Answers of machines, and notes that a message was read."""
    unreadable: int
    """About messages of ours, but saying too little."""
    others: int
    """Nobody's business here: of these the headers alone were looked at."""


class UnreadableMail(Model):
    """A mail that says too little. Nothing of its text or addresses is kept."""

    at: datetime
    kind: str
    """`report`, `notice`, `complaint`, or `mail` if not even that can be told."""
    reason: str


class MailboxView(Model):
    """How the reading of an account's bounce mailbox goes."""

    account: str
    configured: bool
    """Whether the account names a mailbox (`settings.bounce_mailbox`)."""
    looked_at: datetime | None
    """When it was last read without a problem."""
    next_look_at: datetime | None
    """Not before then it is tried again."""
    failures: int
    """How often it could not be read since then."""
    failing_since: datetime | None
    problem: MailboxProblem | None
    """The last one; it is over if `failures` is 0."""
    counts: MailboxCounts
    unreadable: list[UnreadableMail]
    """The last 20, newest first."""
