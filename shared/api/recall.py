"""What callers read about a recall."""

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from shared.model.base import Model
from shared.model.words import Stage


class RecallResult(StrEnum):
    """What a recall came to for one message.

    recalled: it is not sent. withdrawn: it was sent, and the provider took it back. unknown: it is not tried any more,
    but an earlier try may have come through. too_late: it had come to another end. in_progress: a provider is being
    asked just now, or its whereabouts are not known yet; ask again in some seconds.
    """

    RECALLED = "recalled"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"
    TOO_LATE = "too_late"
    IN_PROGRESS = "in_progress"


class Before(StrEnum):
    """Where a recalled message was."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    RETRYING = "retrying"


class MessageRecall(Model):
    """What a recall came to for one message."""

    message_id: str
    result: RecallResult
    before: Before | None = None
    """Of a recalled one."""
    status: Stage | None = None
    """Where it is now, as far as is known."""
    at: datetime | None = None
    """Since when."""
    detail: str


class Recall(Model):
    """What a recall came to, message by message in the request's order."""

    request_id: str
    counts: dict[RecallResult, int] = Field(description="How many messages there are of each result.")
    messages: list[MessageRecall]


class RunRecallQuery(Model):
    """Where to go on."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(default=None, max_length=500)


class RunRecall(Model):
    """What a recall came to for some of a run's messages."""

    run: str
    counts: dict[RecallResult, int]
    messages: list[MessageRecall]
    cursor: str | None = None
    """Give it back to go on; absent at the end."""
