"""What callers read about envelopes that wait for their time."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from shared.api.paging import PageQuery
from shared.model.base import Model
from shared.model.envelope import Envelope
from shared.model.words import Channel, MessageClass

DeferredKind = Literal["scheduled", "deferred", "retrying"]


class DeferredQuery(PageQuery):
    """A page of what waits."""

    cursor: str | None = Field(default=None, max_length=2048)


class DeferredView(Model):
    """Messages that go on together.

    They are recalled by their request.
    """

    envelope_id: str
    request_id: str
    due_at: datetime
    kind: DeferredKind
    """`scheduled` by `send_at`; `deferred` by a policy; `retrying` after a try."""
    template: str
    channel: Channel
    message_class: MessageClass = Field(serialization_alias="class")
    recipients: int
    reference: str | None

    @classmethod
    def of(cls, envelope: Envelope, due_at: datetime) -> Self:
        """An envelope as callers see it."""
        return cls(
            envelope_id=envelope.id,
            request_id=envelope.request,
            due_at=due_at,
            kind=_kind(envelope.id),
            template=envelope.template,
            channel=envelope.channel,
            message_class=envelope.message_class,
            recipients=len(envelope.recipients),
            reference=envelope.reference,
        )


class DeferredPage(Model):
    """A page of what waits; it may hold few, or none, and yet have a cursor."""

    deferred: list[DeferredView]
    cursor: str | None = None


def _kind(envelope_id: str) -> DeferredKind:
    last = envelope_id.rpartition("/")[2] if "/" in envelope_id else ""
    return "retrying" if last.startswith("r") else "deferred" if last.startswith("w") else "scheduled"
