"""The envelope: the unit on a queue. Up to 100 recipients of one template version, with their variables."""

from typing import Annotated, Any

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from shared.model import wire
from shared.model.attachments import AttachmentRef
from shared.model.ids import root_of
from shared.model.sizes import queueable
from shared.model.verifications import Proof
from shared.model.words import Channel, KeyKind, MessageClass, Until

MAX_RECIPIENTS = 100
MAX_BYTES = 90_000
"""Of an accepted envelope's JSON. Ten of these fit one SendMessageBatch (1 MiB). A schedule's input (256 KB) holds one
even if each of its characters needs another escape there, with what tries add to it."""


_KEYS = {
    "index": "i",
    "address": "to",
    "variables": "vars",
    "reference": "ref",
    "time_zone": "tz",
    "other_addresses": "also",
    "stands_in_for": "of",
}


class EnvelopeRecipient(Struct, omit_defaults=True, rename=_KEYS):
    """One recipient of an envelope."""

    index: int
    """Counted from the first one of the root envelope."""
    address: str
    """Normalised."""
    tag: str
    variables: dict[str, Any] = {}
    reference: str | None = None
    """The caller's own."""
    time_zone: str | None = None
    """An IANA name."""
    other_addresses: dict[str, tuple[str, str]] = {}
    """Channel -> the address and the tag there, for the messages by which this one falls back."""
    stands_in_for: str | None = None
    """The tag of the message that fell back to this one."""


class FallbackLeg(Struct, frozen=True, omit_defaults=True):
    """A message that is sent on another channel if the one before it was not, or did not come to what it should."""

    channel: Channel
    template: str
    version: int
    after_s: int | None
    """In how many seconds the one before must have been sent, and in how many from then on it must come to `until`;
    None for no such time."""
    expires_at: int
    """The end of the request's time to live, in milliseconds since the epoch."""
    variables: list[str]
    """The names of those that its template uses."""
    until: Until = Until.SENT
    """What the one before must come to."""


_ENVELOPE_KEYS = {
    "message_class": "class",
    "ask_account": "unsure",
    "tried_between": "tried",
    "times_asked": "checks",
    "maybe_sent": "doubtful",
    "times_put_off": "waits",
    "places": "slots",
    "proof": "proves",
}


class Envelope(Struct, kw_only=True, omit_defaults=True, frozen=True, rename=_ENVELOPE_KEYS):
    """What one queue message holds. Times are in milliseconds since the epoch; recipients are named by their index."""

    v: int = 1
    id: str
    """The ULID of the root's first recipient, then `/r<n>` for a retry, `/c<n>` for a continuation, `/w<n>` for what
    was put off, `/d<n>` for dead letters, `/g<n>` for a redrive, `/f1` for what falls back to another channel; and
    where that waited, `/fl` for those whose time was over, `/fu<recipient>` for one that was undelivered."""
    tenant: str
    channel: Channel
    message_class: MessageClass
    template: str
    version: int
    request: str
    run: str | None = None
    """The campaign's run that it is of."""
    variant: str | None = None
    """Which of the run's templates, where there are several."""
    # Always written, so its default is made.
    kind: KeyKind = field(default_factory=lambda: KeyKind.LIVE)
    reference: str | None = None
    accepted_at: int
    """The time of the redrive or the fallback where there was one."""
    expires_at: int | None = None
    """With a fallback it is what the first leg leaves to these messages."""
    attempt: int = 0
    """Tries already made."""
    generation: int = 0
    """Grows with each redrive."""
    variables: dict[str, Any] = {}
    """Shared by all recipients."""
    recipients: Annotated[list[EnvelopeRecipient], Meta(min_length=1, max_length=MAX_RECIPIENTS)]
    reasons: dict[int, tuple[str, str, str]] = {}
    """For dead letters: recipient -> (reason, raw code, account) of the last try."""
    avoid: list[str] = []
    """Accounts that were down."""
    ask_account: dict[int, str] = {}
    """Recipient -> the account that may have sent its message already and can be asked."""
    tried_between: tuple[int, int] | None = None
    """When the first of the tries began that are asked about, and the last one ended."""
    times_asked: int = 0
    """How often accounts were asked so far."""
    maybe_sent: list[int] = []
    """Recipients of whom an earlier try may have come through, about which nothing more can be learned."""
    times_put_off: int = 0
    """How often it was put off without a try."""
    places: dict[str, int] = {}
    """When places begin that it has: in the rate of an account, by its id; in the limits of its recipients, by
    `<account>/recipients`."""
    attachments: list[AttachmentRef] = []
    """The files that go along, for all recipients."""
    proof: Proof | None = None
    """The verification that it carries: its code or its link is in no envelope, and filled in when it is rendered."""
    fallback: list[FallbackLeg] = []
    """The messages that may take the place of this envelope's, one after the other."""

    @property
    def ends_at(self) -> int | None:
        """When the time to live is over that its messages share with those to which they fall back."""
        return self.fallback[0].expires_at if self.fallback else self.expires_at

    @property
    def waits(self) -> bool:
        """Whether messages of it that are sent may still fall back."""
        return bool(self.fallback) and self.fallback[0].until is not Until.SENT

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
        return queueable(wire.write(self).decode())

    def child(self, suffix: str, recipients: list[EnvelopeRecipient], **changes: Any) -> "Envelope":
        """An envelope that carries on with some of the recipients; its id follows from this one's."""
        fresh: dict[str, Any] = {"reasons": {}, "ask_account": {}, "tried_between": None, "places": {}}
        named = {"id": f"{self.id}/{suffix}", "recipients": recipients}
        return replace(self, **{**fresh, **named, **changes})


read_envelope = wire.Reader[Envelope](Envelope)
"""Reads a queue message's body. Raises: UnreadableError."""


def group_id(tenant: str, run: str | None) -> str:
    """The fair-queue group: so that no campaign starves another and none delays a code."""
    return f"{tenant}.{run or 'direct'}"[:128]
