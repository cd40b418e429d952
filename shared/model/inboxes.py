"""Mailboxes from which receipts are read: how far each has been read, and what is known of it."""

from pydantic import ConfigDict, Field

from shared.model.base import Model

MOST_KEPT = 20
"""Mails that could not be read, of which the last ones are shown."""


class Place(Model):
    """How far a mailbox has been read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    validity: int | None = None
    """While it is the same, numbers stand for the same mails (IMAP's UIDVALIDITY)."""
    number: int | None = None
    """Of the last mail that was read; None to begin anew."""
    stuck: int | None = None
    """Of the mail at which the last look broke off."""
    stuck_times: int = 0


class UnreadMail(Model):
    """A mail about a message of ours that says too little. Nothing of it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    at: int
    """When it came, in milliseconds since the epoch."""
    kind: str
    """Such as `report` or `notice`."""
    reason: str
    """Why it says too little, in words."""


class InboxProblem(Model):
    """Why a mailbox cannot be read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: str
    summary: str
    """In words."""
    action: str
    """What to do."""


class InboxState(Model):
    """What is known of an account's mailbox. Times: milliseconds since the epoch."""

    model_config = ConfigDict(extra="ignore")

    where: str = ""
    """Stands for the mailbox: with another one everything begins anew."""
    secret_version: int = 0
    """Of the account's secret that was used last: a new one is tried at once."""
    place: Place = Field(default_factory=Place)
    next_at: int = 0
    """Not before then it is tried again."""
    looked_at: int | None = None
    """When it was last read without a problem."""
    failures: int = 0
    """How often it could not be read since."""
    failing_since: int | None = None
    problem: InboxProblem | None = None
    """The last one, whether it is over or not."""
    problem_at: int | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    """Mails by what they were."""
    unread: list[UnreadMail] = Field(default_factory=list)
    """The last of those, newest first."""
