"""Erasures: a person is to be forgotten, and how far that is. Times: milliseconds since the epoch."""

from enum import StrEnum

from pydantic import ConfigDict, Field

from shared.model.base import Model
from shared.model.words import Channel


class ErasureState(StrEnum):
    """How far an erasure is."""

    ERASING = "erasing"
    """A search is under way, or about to begin."""
    WAITING = "waiting"
    """The next search comes later: the last one found something, or something could not be taken out yet."""
    DONE = "done"
    """A whole search found nothing any more."""


class Erasure(Model):
    """One person on one channel. Address and tag are in it until it is done, since the searches need them."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    tenant: str
    channel: Channel
    name: str
    """What the person is called in records, see `shared.model.veils.veil_name`."""
    by: str
    """The id of the API key."""
    at: int
    keep_suppression: bool
    address: str
    """`address`, `tag` and `veil`: empty once it is done."""
    tag: str
    veil: str
    """The tag that takes the place of the person's."""
    state: ErasureState = ErasureState.ERASING
    next_at: int | None = None
    """When the next search begins."""
    done_at: int | None = None
    searches: int = 0
    """Whole ones."""
    began_at: int = 0
    """When the search under way began."""
    step: int = 0
    """`step` and `position`: where it goes on."""
    position: str = ""
    changed: int = 0
    """What it has found so far."""
    erased: dict[str, int] = Field(default_factory=dict)
    """Place -> how much was taken out there, by all searches."""
    searched: dict[str, int] = Field(default_factory=dict)
    """Place -> how much the search under way, or else the last one, has looked through."""
    waiting: dict[str, int] = Field(default_factory=dict)
    """Place -> how much it could not take out yet."""
    left: dict[str, int] = Field(default_factory=dict)
    """Place -> how much names the address and is for people to change."""
    lease_until: int = 0
    """Until then somebody works on it."""


class ErasureTask(Model):
    """Go on with an erasure."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: str
    erasure: str
