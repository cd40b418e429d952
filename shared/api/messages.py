"""What callers send, and what they are told at once; `shared.api.trace` has what became of it."""

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, JsonValue, model_validator, with_config
from typing_extensions import TypedDict

from shared.api.fields import Moment, Ttl, VersionNumber
from shared.model.attachments import CID
from shared.model.base import Model
from shared.model.policies import ZoneName
from shared.policy.attachments import MAX_FILES

MAX_RECIPIENTS = 1000
Variables = dict[str, JsonValue]
_STRICT = ConfigDict(extra="forbid")


Address = Annotated[str, Field(min_length=1, max_length=320)]


@with_config(_STRICT)
class FallbackIn(TypedDict):
    """A recipient's addresses on the channels to which the template falls back; those of others are not used."""

    email: NotRequired[Address]
    sms: NotRequired[Address]
    wecom: NotRequired[Address]


@with_config(_STRICT)
class RecipientIn(TypedDict):
    """One recipient of a request. A TypedDict: a thousand of these are read per request."""

    to: Address
    variables: NotRequired[Variables]
    reference: NotRequired[Annotated[str, Field(max_length=100)]]
    time_zone: NotRequired[ZoneName]
    """An IANA name, for quiet hours; the tenant's where it is absent."""
    fallback: NotRequired[FallbackIn]
    """Where it is sent instead, if the template falls back to another channel; without an address there it does not."""


@with_config(_STRICT)
class AttachmentIn(TypedDict):
    """A file that was uploaded."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    cid: NotRequired[Annotated[str, Field(pattern=CID)]]
    """Takes the place of the image that the template's html shows by it; without it the file is attached beside the
    text."""


class SendRequest(Model):
    """Send one template to one address (`to`) or up to 1,000 (`recipients`)."""

    model_config = _STRICT

    template: str = Field(min_length=1, max_length=60)
    to: str | None = Field(default=None, min_length=1, max_length=320)
    recipients: list[RecipientIn] | None = Field(default=None, min_length=1, max_length=MAX_RECIPIENTS)
    variables: Variables = Field(default_factory=dict)
    """Shared by all recipients; a recipient's own come first."""
    version: VersionNumber | None = None
    """Pin a version that was published."""
    send_at: Moment | None = None
    """Not before this time, at most 365 days ahead; a time in the past means now."""
    ttl: Ttl | None = None
    """Seconds after `send_at` (or now) in which it must have been sent, else it ends as `expired`; the default is the
    template's, and 300 for codes."""
    reference: str | None = Field(default=None, max_length=100)
    """Your own word for the request, shown in the trace."""
    once_per_reference: bool = False
    """A repeat of this request, with the same template and `reference`, gets the same answer and sends nothing again
    for 24 hours, as under an Idempotency-Key; for callers that cannot set the header."""
    attachments: list[AttachmentIn] = Field(default_factory=list, max_length=MAX_FILES)
    """Files that every recipient's email gets."""

    @model_validator(mode="after")
    def _one_form(self) -> "SendRequest":
        if (self.to is None) == (self.recipients is None):
            raise ValueError("give either to or recipients")
        if self.once_per_reference and not self.reference:
            raise ValueError("once_per_reference needs a reference: give one")
        return self


class MessageOut(TypedDict):
    """The result for one recipient: `rejected` and `not_queued` say why and what to do."""

    index: int
    message_id: str
    status: Literal["accepted", "rejected", "not_queued"]
    field: NotRequired[str]
    reason: NotRequired[str]
    detail: NotRequired[str]


class SendResponse(Model):
    """What became of a request, one result per recipient, in the request's order."""

    request_id: str
    accepted: int
    rejected: int
    not_queued: int
    messages: list[MessageOut]
