"""What callers send and read about dead letters."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, StrictBool, model_validator

from shared.api.paging import PageQuery
from shared.model.base import Model
from shared.model.letters import LetterState
from shared.model.reasons import Reason
from shared.model.words import Channel, KeyKind, MessageClass

_STRICT = ConfigDict(extra="forbid")
LetterId = Annotated[str, Field(pattern=r"^[0-9A-Za-z./]+$", max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=60)]


class DeadLetterQuery(PageQuery):
    """Which dead letters to list. Without `state`, those that still wait."""

    model_config = _STRICT

    channel: Channel | None = None
    message_class: MessageClass | None = Field(default=None, alias="class")
    template: Name | None = None
    account: Name | None = None
    reason: Reason | None = None
    state: LetterState | None = None


class DeadLetterView(Model):
    """Given-up recipients of one envelope that share a reason and an account."""

    id: str
    state: LetterState
    channel: Channel
    message_class: MessageClass = Field(serialization_alias="class")
    template: str
    version: int
    account: str | None
    """Absent where none was asked."""
    reason: str
    code: str | None
    """What the provider said most often."""
    explanation: str
    action: str
    recipients: int
    request_id: str
    kind: KeyKind
    generation: int
    """How often they were redriven before."""
    accepted_at: datetime
    dead_at: datetime
    age_seconds: int
    changed_at: datetime | None
    """`changed_at`, `changed_by` and `note`: of the redrive or discard, and the key that asked for it."""
    changed_by: str | None
    note: str | None


class DeadLetterPage(Model):
    """Dead letters, newest first by acceptance."""

    dead_letters: list[DeadLetterView]
    cursor: str | None = None
    """Give it back for the next page; absent on the last."""


class RedriveRequest(Model):
    """Which kept dead letters to work on: all that every filter fits, or `all`."""

    model_config = _STRICT

    channel: Channel | None = None
    message_class: MessageClass | None = Field(default=None, alias="class")
    template: Name | None = None
    account: Name | None = None
    reason: Reason | None = None
    ids: list[LetterId] | None = Field(default=None, min_length=1, max_length=100)
    all: StrictBool = False

    @model_validator(mode="after")
    def _one_form(self) -> "RedriveRequest":
        filters = (self.channel, self.message_class, self.template, self.account, self.reason, self.ids)
        if self.all == any(value is not None for value in filters):
            raise ValueError("give either a filter (channel, class, template, account, reason, ids) or all: true")
        return self


class DiscardRequest(RedriveRequest):
    """Which kept dead letters to discard, and why, in your own words; the note is shown in the trace."""

    note: str = Field(min_length=1, max_length=200, pattern=r"\S")


class DeadLetterTally(Model):
    """What one call did. It stops after some seconds: call again while `left` is true."""

    letters: int
    """`letters` and `recipients`: done as asked."""
    recipients: int
    carried_on: int
    """Letters of which the other of redrive and discard had been begun before, and was ended now."""
    failed: int
    """Letters to be tried again."""
    left: bool
