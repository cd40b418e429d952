"""What the archive keeps of an event: one table of columns, from which follow the rows, the schema and the page. Pure.

It keeps nothing of people: no address, no tag (which is derived from one), no variables, no reference of the caller's,
no words of a person, no id that a provider gave. So there is nothing in it to erase when a person is forgotten. Columns
are only ever added, at the end: files of earlier years have to be read.
"""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from shared.model.calling_codes import calling_code
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import Numbering, root_of, ulid_time
from shared.model.words import Channel, Stage
from shared.policy.latency import latency_of

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,79}( \d[\d.]{0,9}){0,2}").fullmatch
_LONG_NUMBER = re.compile(r"\d{8}").search
"""Such as there is in phone numbers, and in no code of a provider."""


class Told(Struct, frozen=True):
    """An event, with the record of the stream that tells it."""

    record: StreamRecord
    row: EventRow
    message: str
    """The message's ULID."""

    @property
    def accepted_at(self) -> int:
        """When the message was accepted, in milliseconds since the epoch."""
        return ulid_time(self.message)

    @property
    def call_ms(self) -> int | None:
        """How long the provider's call took; what is said of a delivery is another time."""
        return None if self.row.stage == Stage.DELIVERED else self.row.took_ms


class Column(Struct, frozen=True):
    """A column of the archive."""

    name: str
    type: Literal["string", "int", "bigint", "boolean", "timestamp"]
    """As Glue calls it. Timestamps are in UTC, and written as milliseconds since the epoch."""
    about: str
    of: Callable[[Told], object]
    """The value; None for what is not known, which is null. Booleans are never null."""


COLUMNS = (
    Column(
        "event_id",
        "string",
        "The event's name: message, channel, stage and number. Rows with the same one are copies",
        lambda t: f"{t.message}-{t.record.channel}-{t.row.stage}-{t.row.nth}",
    ),
    Column("tenant", "string", "Whose message it is; `default` for a single team", lambda t: t.record.tenant),
    Column("message", "string", "The first 26 characters of the message's id", lambda t: t.message),
    Column("request", "string", "The request, or part of a run, that it came with", lambda t: t.record.request),
    Column("channel", "string", "`email`, `sms` or `wecom`", lambda t: t.record.channel),
    Column("class", "string", "`verification`, `notification` or `marketing`", lambda t: t.record.message_class),
    Column("key_kind", "string", "`live`, `team` or `test`, by the key that sent it", lambda t: t.record.kind),
    Column("stage", "string", "What happened", lambda t: t.row.stage),
    Column("number", "bigint", "Which time the message is at this stage, from 0", lambda t: t.row.nth),
    Column("at", "timestamp", "When it happened", lambda t: t.row.at),
    Column("accepted_at", "timestamp", "When the message was accepted", lambda t: t.accepted_at),
    Column("template", "string", "", lambda t: t.record.template),
    Column("version", "int", "Of the template", lambda t: t.record.version),
    Column("campaign", "string", "", lambda t: t.record.run and t.record.run.partition(".")[0]),
    Column("run", "string", "Of the campaign", lambda t: t.record.run),
    Column("variant", "string", "Of the campaign", lambda t: t.record.variant),
    Column("account", "string", "Through which it went, or was to go", lambda t: t.row.account),
    Column("provider", "string", "Of the account", lambda t: t.row.provider),
    Column("reason", "string", "Why, as in docs/replies.md", lambda t: t.row.reason),
    Column("provider_code", "string", "The provider's own, where it has the form of a code", lambda t: _code(t.row)),
    Column("transient", "boolean", "Of `undelivered`: the address may be good all the same", lambda t: t.row.transient),
    Column("by_machine", "boolean", "Of `opened` and `clicked`: no person did it", lambda t: t.row.machine),
    Column("maybe_sent", "boolean", "An earlier try may have arrived, too", lambda t: t.row.maybe_sent),
    Column(
        "latency_ms",
        "bigint",
        "Of `sent`: since the acceptance. Of `delivered`: since it was sent",
        lambda t: latency_of(t.row, t.accepted_at),
    ),
    Column("call_ms", "bigint", "How long the provider's call took", lambda t: t.call_ms),
    Column("due_at", "timestamp", "When it is tried again, or for the first time", lambda t: t.row.due_at),
    Column(
        "fallback_channel",
        "string",
        "By which another message took its place, under the same `message`",
        lambda t: t.row.fell_back_to and t.row.fell_back_to.channel,
    ),
    Column("calling_code", "string", "Of an SMS's number: `86`, `1`", lambda t: _calling_code(t)),
)


def archived(record: StreamRecord) -> Iterator[dict[str, object]]:
    """The rows of a record's events, in its order: values by column, without those that are not known."""
    number = Numbering(root_of(record.envelope))
    for row in record.events:
        told = Told(record, row, number(row.index))
        yield {column.name: value for column in COLUMNS if (value := column.of(told)) is not None}


def _code(row: EventRow) -> str | None:
    """A provider's code. Left out is what was found where no provider was asked, what may be a sentence, and what a
    recipient answered."""
    code = row.code if row.provider and row.stage != Stage.UNSUBSCRIBED else None
    return code if code and _CODE(code) and not _LONG_NUMBER(code) else None


def _calling_code(told: Told) -> str | None:
    address = told.row.masked_address
    return calling_code(address) if address and told.record.channel is Channel.SMS else None
