"""The suppression list: recipients that must not be written to, and why."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field

from shared.model.base import Model
from shared.model.topics import TopicId
from shared.model.words import Channel

MAX_NOTE = 200


class SuppressionScope(StrEnum):
    """What an entry stops: all messages, one class of them, or their tracking."""

    ALL = "all"
    VERIFICATION = "verification"
    NOTIFICATION = "notification"
    MARKETING = "marketing"
    TRACKING = "tracking"
    """Stops no message: its links lead straight on, and nobody is told of its openings and clicks."""


class SuppressionReason(StrEnum):
    """Why a recipient is on the list."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"
    PROVIDER = "provider"


class SuppressionEntry(Model):
    """One reason to stop messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scope: SuppressionScope
    reason: SuppressionReason
    topic: TopicId | None = None
    """Of marketing, the only topic that it stops; None for all."""
    at: int
    """Milliseconds since the epoch."""
    by: str
    """The id of the API key that added it; `receipt` if none did."""
    note: str = ""
    message: str | None = None
    """The id of the message from which it comes, if a receipt of it was the reason."""

    @property
    def name(self) -> tuple[SuppressionScope, SuppressionReason, str | None]:
        """What a recipient has one of."""
        return self.scope, self.reason, self.topic


class Suppressed(Model):
    """A recipient with its entries, at most one per scope, reason and topic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str
    channel: Channel
    address: str
    """Normalised; masked, if it comes from a receipt that does not name it."""
    tag: str
    entries: list[SuppressionEntry] = Field(default_factory=list)

    def plus(self, entries: Iterable[SuppressionEntry]) -> Self:
        """With these entries too; one that is there already stays as it is."""
        found = {each.name: each for each in self.entries}
        for each in entries:
            found.setdefault(each.name, each)
        return self.model_copy(update={"entries": list(found.values())})

    def minus(self, scope: SuppressionScope | None, reason: SuppressionReason | None, topic: str | None = None) -> Self:
        """Without the entries of this scope, reason and topic; None stands for any."""
        wanted = (scope, reason, topic)

        def stays(entry: SuppressionEntry) -> bool:
            return any(want not in (None, has) for want, has in zip(wanted, entry.name, strict=True))

        return self.model_copy(update={"entries": list(filter(stays, self.entries))})
