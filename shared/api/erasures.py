"""What callers send and read about erasures."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StrictBool

from shared.api.fields import moment, moment_or_none
from shared.api.suppressions import Address
from shared.model.base import Model
from shared.model.erasures import Erasure, ErasureState
from shared.model.words import Channel
from shared.policy.remaining import remains


class ErasureCreate(Model):
    """Whom to forget: an address on a channel."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    address: Address
    keep_suppression: StrictBool = True
    """Whether a recipient who is on the suppression list stays on it, without the address: else the next file that
    names them would be sent to."""


class Remains(Model):
    """What cannot be taken out, or is kept on purpose."""

    what: str
    until: datetime | None
    """When it is gone by itself; null for what stays."""


Counts = Annotated[dict[str, int], Field(json_schema_extra={"additionalProperties": {"type": "integer"}})]


class ErasureView(Model):
    """An erasure. It names nobody."""

    id: str
    channel: Channel
    name: str
    """What the person is called in the audit log: a digest."""
    state: ErasureState
    """`erasing`: a search is under way; `waiting`: for the next one; `done`: the last one found nothing any more."""
    asked_at: datetime
    asked_by: str
    """The id of an API key."""
    keep_suppression: bool
    searches: int
    """How often everything was searched."""
    next_search_at: datetime | None
    done_at: datetime | None
    erased: Counts
    """Place to how much was taken out there."""
    waiting: Counts
    """Place to how much could not be taken out yet; the next search tries again."""
    left: Counts
    """Place to how much names the address and is for people to change."""
    searched: Counts
    """Place to how much the last search looked through."""
    remains: list[Remains]

    @classmethod
    def of(cls, erasure: Erasure) -> Self:
        """An erasure as callers see it."""
        shown = erasure.model_dump(include={"id", "channel", "name", "state", "keep_suppression", "searches"})
        counts = erasure.model_dump(include={"erased", "waiting", "left", "searched"})
        return cls(
            **shown,
            **counts,
            asked_at=moment(erasure.at),
            asked_by=erasure.by,
            next_search_at=moment_or_none(erasure.next_at),
            done_at=moment_or_none(erasure.done_at),
            remains=[Remains(what=what, until=moment_or_none(until)) for what, until in remains(erasure)],
        )


class ErasureAudit(Model):
    """What the audit log says of an erasure: that somebody was to be forgotten, and not who."""

    channel: Channel
    name: str
    keep_suppression: bool
