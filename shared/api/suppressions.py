"""What callers send and read about the suppression list."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from shared.api.fields import moment
from shared.model.address import mask
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.suppression import (
    MAX_NOTE,
    Suppressed,
    SuppressionEntry,
    SuppressionReason,
    SuppressionScope,
)
from shared.model.topics import TopicId
from shared.model.words import Channel

_STRICT = ConfigDict(extra="forbid")
MAX_ROWS = 1_000
"""Of one import."""
MAX_CELL = 2_000
MAX_RELEASED = 20
"""Of one call: each is a call of the provider."""

Address = Annotated[str, Field(min_length=1, max_length=MAX_CELL)]
Note = Annotated[str, Field(max_length=MAX_NOTE, description="In your own words.")]
_Cell = Annotated[str, Field(max_length=MAX_CELL)]


class SuppressionAdd(Model):
    """A recipient to stop messages to."""

    model_config = _STRICT

    channel: Channel
    address: Address
    scope: SuppressionScope = SuppressionScope.ALL
    """`all`, or one class of messages."""
    reason: SuppressionReason = SuppressionReason.MANUAL
    topic: TopicId | None = None
    """One of the settings' topics: only what is about it is stopped. With the scope `marketing`."""
    note: Note = ""

    @model_validator(mode="after")
    def _of_marketing(self) -> Self:
        if self.topic is not None and self.scope is not SuppressionScope.MARKETING:
            raise ValueError("a topic is of marketing: give the scope `marketing` with it")
        return self


class SuppressionRemove(Model):
    """A recipient to take off the list: all its entries, or those of a scope, a reason and a topic."""

    model_config = _STRICT

    channel: Channel
    address: Address
    scope: SuppressionScope | None = None
    reason: SuppressionReason | None = None
    topic: TopicId | None = None


class SuppressionQuery(Model):
    """Who is on the list: one address of a channel, or all, page by page."""

    model_config = _STRICT

    channel: Channel | None = None
    address: Address | None = None
    reason: SuppressionReason | None = None
    limit: Annotated[int, Field(ge=1, le=1_000), BeforeValidator(whole_number)] = 100
    cursor: str | None = Field(default=None, max_length=500)

    @model_validator(mode="after")
    def _with_channel(self) -> Self:
        if self.address is not None and self.channel is None:
            raise ValueError("an address needs its channel")
        return self


class SuppressionRow(Model):
    """A row to import; what it does not say is as the import says. A row that is not right is reported alone."""

    model_config = _STRICT

    address: _Cell
    scope: _Cell | None = None
    reason: _Cell | None = None
    topic: _Cell | None = None
    note: _Cell | None = None


class SuppressionImport(Model):
    """Recipients of one channel to stop messages to. Done again, it changes nothing."""

    model_config = _STRICT

    channel: Channel
    scope: SuppressionScope = SuppressionScope.ALL
    reason: SuppressionReason = SuppressionReason.MANUAL
    rows: list[SuppressionRow] = Field(min_length=1, max_length=MAX_ROWS)


class EntryView(Model):
    """Why a recipient is on the list."""

    scope: SuppressionScope
    reason: SuppressionReason
    topic: str | None = None
    """The only topic that it stops, of marketing."""
    at: datetime
    by: str
    """The id of the API key that added it; `receipt` if none did, but what a provider said of a message."""
    note: str
    message: str | None = None
    """The id of that message."""

    @classmethod
    def of(cls, entry: SuppressionEntry) -> Self:
        """An entry as callers see it."""
        return cls.model_validate(entry.model_dump() | {"at": moment(entry.at)})


class SuppressionView(Model):
    """A recipient and its entries; without any it is not on the list."""

    channel: Channel
    address: str
    """Normalised."""
    entries: list[EntryView]

    @classmethod
    def of(cls, recipient: Suppressed) -> Self:
        """A recipient as callers see it."""
        entries = [EntryView.of(each) for each in recipient.entries]
        return cls(channel=recipient.channel, address=recipient.address, entries=entries)


class SuppressionChange(Model):
    """What one call changed, and how the recipient is now."""

    changed: int
    """How many entries were added or removed."""
    suppression: SuppressionView


class SuppressionPage(Model):
    """Recipients, in no order. One with a cursor may hold few, or none, when what is searched for is rare."""

    suppressions: list[SuppressionView]
    cursor: str | None = None


class RowResult(Model):
    """What became of a row."""

    index: int
    """From 0."""
    status: Literal["added", "already_there", "invalid"]
    field: str | None = None
    """`field` and `detail`: of an invalid one."""
    detail: str | None = None


class ImportReport(Model):
    """What became of an import, as a whole and row by row."""

    added: int
    already_there: int
    invalid: int
    rows: list[RowResult]


class MirrorAction(StrEnum):
    """What is done with a provider's own suppression list."""

    COMPARE = "compare"
    """Nothing is changed."""
    MIRROR = "mirror"
    """What is missing on the platform's list is added to it, for the reason `provider`."""
    RELEASE = "release"
    """The addresses that are named are taken off the provider's list, unless the platform's own has them."""


class MirrorRequest(Model):
    """A look at a provider's own suppression list, a page at a time. Repeated, it changes nothing more."""

    model_config = _STRICT

    action: MirrorAction = MirrorAction.COMPARE
    addresses: list[Address] = Field(default_factory=list, max_length=MAX_RELEASED)
    """Those that are meant, in any letter case. None are all for the other actions, and nobody for `release`."""
    cursor: str | None = Field(default=None, max_length=2_000)
    """Of the page before."""


class MirrorReport(Model):
    """What one page of the provider's list holds, and what was done."""

    theirs: int
    """Addresses on this page."""
    on_both: int
    missing: list[str]
    """Addresses that only the provider's list has, of those that are meant, before anything was added; normalised."""
    unreadable: int
    """What is no address that could be written to here."""
    added: int
    released: int
    kept: int
    """Addresses that are meant and on the platform's own list too: they are not released."""
    cursor: str | None
    """Give it back for the next page; null at the end."""


class MirrorAudit(Model):
    """What was done with a provider's list in the audit log."""

    action: MirrorAction
    addresses: int
    """How many are added or released; said before it is done."""


class SuppressionAudit(Model):
    """A recipient in the audit log, which is kept for good: the address is masked."""

    channel: Channel
    recipient: str
    entries: list[EntryView]

    @classmethod
    def of(cls, recipient: Suppressed) -> Self | None:
        """A recipient as the audit log shows it; None if it is not on the list."""
        if not recipient.entries:
            return None
        masked = mask(recipient.channel, recipient.address)
        entries = [EntryView.of(each) for each in recipient.entries]
        return cls(channel=recipient.channel, recipient=masked, entries=entries)


class ImportAudit(Model):
    """An import in the audit log."""

    channel: Channel
    scope: SuppressionScope
    reason: SuppressionReason
    added: int
    already_there: int
    invalid: int
