"""The envelope: the unit on a queue. Up to 100 recipients of one template version, with their variables."""

from typing import Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

from shared.model.attachments import AttachmentRef
from shared.model.ids import root_of
from shared.model.sizes import json_text
from shared.model.words import Channel, KeyKind, MessageClass

MAX_RECIPIENTS = 100
MAX_BYTES = 90_000
"""Of an accepted envelope's JSON. Ten of these fit one SendMessageBatch (1 MiB). A schedule's input (256 KB) holds one
even if each of its characters needs another escape there, with what tries add to it."""


class EnvelopeRecipient(TypedDict):
    """One recipient: `i` counts from the root envelope's base; `to` is normalised; `tz` is an IANA name.

    also: channel -> the address and the tag there, for the messages by which this one falls back. of: the tag of the
    message that fell back to this one.
    """

    i: int
    to: str
    tag: str
    vars: NotRequired[dict[str, JsonValue]]
    ref: NotRequired[str]
    tz: NotRequired[str]
    also: NotRequired[dict[str, tuple[str, str]]]
    of: NotRequired[str]


class FallbackLeg(TypedDict):
    """A message that is sent on another channel if the one before it was not.

    after_s: in how many seconds the one before must have been sent; None for no such time. expires_at: the end of the
    request's time to live, in milliseconds since the epoch. variables: the names of those that its template uses.
    """

    channel: Channel
    template: str
    version: int
    after_s: int | None
    expires_at: int
    variables: list[str]


class Envelope(BaseModel):
    """What one queue message holds.

    id: the ULID of the root's first recipient, then `/r<n>` for a retry, `/c<n>` for a continuation, `/d<n>` for dead
    letters, `/g<n>` for a redrive, `/f1` for what falls back to another channel. attempt: tries already made.
    generation: grows with each redrive. run, variant: the campaign's run that it is of, and which of its templates,
    where there are several. Times: milliseconds since the epoch; accepted_at is the time of the redrive or
    the fallback where there was one.
    reasons: for dead letters, recipient `i` -> (reason, raw code, account) of the last try. avoid: accounts that were
    down. unsure: recipient `i` -> the account that may have sent its message already and can be asked. tried: when the
    first of their tries began and the last one ended. checks: how often accounts were asked so far. doubtful: those of
    whom an earlier try may have come through, about which nothing more can be learned. waits: how often it was put off
    without a try. slots: when places begin that it has: in the rate of an account, by its id; in the limits of its
    recipients, by `<account>/recipients`. attachments: the files that go along, for all recipients. fallback: the
    messages that may take the place of this envelope's, one after the other; `expires_at` is then what the first of
    them leaves to these.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    v: Literal[1] = 1
    id: str
    tenant: str
    channel: Channel
    message_class: MessageClass = Field(alias="class")
    template: str
    version: int
    request: str
    run: str | None = None
    variant: str | None = None
    kind: KeyKind = KeyKind.LIVE
    reference: str | None = None
    accepted_at: int
    expires_at: int | None = None
    attempt: int = 0
    generation: int = 0
    variables: dict[str, JsonValue] = Field(default_factory=dict)
    recipients: list[EnvelopeRecipient] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    reasons: dict[int, tuple[str, str, str]] = Field(default_factory=dict)
    avoid: list[str] = Field(default_factory=list)
    unsure: dict[int, str] = Field(default_factory=dict)
    tried: tuple[int, int] | None = None
    checks: int = 0
    doubtful: list[int] = Field(default_factory=list)
    waits: int = 0
    slots: dict[str, int] = Field(default_factory=dict)
    attachments: list[AttachmentRef] = Field(default_factory=list)
    fallback: list[FallbackLeg] = Field(default_factory=list)

    @property
    def ends_at(self) -> int | None:
        """When the time to live is over that its messages share with those to which they fall back."""
        return self.fallback[0]["expires_at"] if self.fallback else self.expires_at

    @property
    def opens(self) -> bool:
        """Whether its messages begin with it, and carry on no others."""
        return self.attempt == 0 and ("/" not in self.id or self.id.rpartition("/")[2].startswith("f"))

    @property
    def root(self) -> str:
        """The root envelope's id, which is also the base of its message ids."""
        return root_of(self.id)

    def to_json(self) -> str:
        """The queue message's body: what is not at its default."""
        # The model's own serialiser takes three times as long for a hundred recipients.
        out = {_ALIAS.get(name, name): value for name, value in self.__dict__.items() if value != _DEFAULTS.get(name)}
        return json_text(out)

    def child(self, suffix: str, recipients: list[EnvelopeRecipient], **changes: Any) -> "Envelope":
        """An envelope that carries on with some of the recipients; its id follows from this one's."""
        fresh: dict[str, Any] = {"reasons": {}, "unsure": {}, "tried": None, "slots": {}}
        return self.model_copy(update={"id": f"{self.id}/{suffix}", "recipients": recipients} | fresh | changes)


_ALIAS = {"message_class": "class"}
_DEFAULTS: dict[str, Any] = {
    "v": 1,
    "kind": None,
    "attempt": 0,
    "generation": 0,
    "variables": {},
    "reasons": {},
    "avoid": [],
    "unsure": {},
    "tried": None,
    "checks": 0,
    "doubtful": [],
    "waits": 0,
    "slots": {},
    "attachments": [],
    "fallback": [],
}


def group_id(tenant: str, run: str | None) -> str:
    """The fair-queue group: so that no campaign starves another and none delays a code."""
    return f"{tenant}.{run or 'direct'}"[:128]
