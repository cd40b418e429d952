"""Templates and their immutable versions."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, field_serializer, model_validator

from shared.model.base import Model
from shared.model.content import Content
from shared.model.policies import Policies
from shared.model.topics import TopicId
from shared.model.words import Channel, MessageClass, Until


class Fallback(Model):
    """By which template the messages of another are sent anew, to an address of its own channel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")
    """Of another channel and the same class."""
    after_minutes: int | None = Field(default=None, ge=1, le=3 * 1440)
    """In which a message must have been sent, else the other one is; without it, when it ends unsent. With another
    `until` than `sent`, also the minutes that it has from then on to come to that."""
    until: Until = Until.SENT
    """What a message must come to, else the other one is sent: also at once when it comes back. `delivered`
    without `after_minutes`: only then."""

    @model_validator(mode="after")
    def _minutes(self) -> "Fallback":
        if self.until is Until.ACKNOWLEDGED and self.after_minutes is None:
            raise ValueError("with `until` acknowledged, say in `after_minutes` how long people have for it")
        return self


class TrackingMode(StrEnum):
    """Whose openings and clicks of a template's messages are told."""

    RECIPIENT = "recipient"
    """Each message's."""
    ANONYMOUS = "anonymous"
    """Nobody's: they are counted for the template, the run and the link."""


def tracking_of(given: object) -> object:
    """A template's tracking in the one form in which it is kept: `true` is what `recipient` was called once."""
    return TrackingMode.RECIPIENT if given is True else given


Tracking = Annotated[Literal[False] | TrackingMode, BeforeValidator(tracking_of)]


class Template(Model):
    """A template: what binds versions of content to a channel, a class and accounts."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")
    tenant: str
    name: str = Field(min_length=1, max_length=100)
    channel: Channel
    message_class: MessageClass = Field(alias="class")
    accounts: list[str] = Field(min_length=1, max_length=10)
    """Ids in order of preference; routing weighs them."""
    latest: int = 0
    published: int | None = None
    """The version that is sent, if any."""
    archived: bool = False
    ttl_seconds: int | None = Field(default=None, ge=10, le=3 * 86400)
    """The default time to live of its messages."""
    policies: Policies | None = None
    """Those that it has of its own."""
    fallback: Fallback | None = None
    """What is sent where its messages were not."""
    topic: TopicId | None = None
    """What it is about, if it advertises: one of the settings' topics."""
    tracking: Tracking = False
    """Whether its messages tell that they were opened, and which links were clicked, and of whom."""
    created_at: int
    updated_at: int

    @field_serializer("tracking")
    def _as_before(self, tracking: Tracking) -> bool | str:
        """Functions from before a deployment that is under way read `recipient` by its older name alone."""
        return True if tracking is TrackingMode.RECIPIENT else tracking


class ReviewState(StrEnum):
    """Where a version's review stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"


class Review(Model):
    """A version's review: who submitted it, who decided last, when, and what they said. Who: ids of API keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: ReviewState = ReviewState.DRAFT
    submitted_by: str | None = None
    submitted_at: int | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    comment: str = ""


class TemplateVersion(Model):
    """One version of a template's content; never changed once saved, but for its review."""

    model_config = ConfigDict(extra="forbid")

    template: str
    version: int = Field(ge=1)
    content: Content
    required: list[str] = Field(default_factory=list)
    """`required` and `optional`: its placeholders; an optional one is used only with a default."""
    optional: list[str] = Field(default_factory=list)
    loops: bool = False
    """Whether it iterates over a variable."""
    sample: dict[str, JsonValue] = Field(default_factory=dict)
    note: str = ""
    created_at: int
    author: str = ""
    """The id of the API key that saved it."""
    review: Review = Field(default_factory=Review)
    published_at: int | None = None
    """Set once, when it was first published; such a version may be pinned by a request."""
