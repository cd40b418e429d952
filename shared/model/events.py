"""Events: facts about messages at stages, how they travel on the stream, and how status is folded from them."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct, field

from shared.model import wire
from shared.model.address import mask
from shared.model.base import Model
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.ids import Numbering, root_of
from shared.model.words import OUTCOMES, Channel, KeyKind, MessageClass, Stage, Until


class FallenTo(Struct, frozen=True):
    """Where a message fell back to."""

    channel: str
    template: str
    version: int
    tag: str
    """The recipient's tag there."""


class Awaits(Struct, frozen=True, omit_defaults=True):
    """What is to be known of a message, and the other one that is sent if it is not."""

    to: FallenTo
    until: Until
    due_at: int | None = None
    """By when, in milliseconds since the epoch; None for no such time: then only what comes back falls back."""


PassedOver = tuple[str, str, str]
"""An account that was passed over, the reason, and the provider's raw code (empty if it was not asked)."""

_KEYS = {
    "stage": "s",
    "nth": "n",
    "masked_address": "to",
    "sealed_address": "seal",
    "account": "acc",
    "provider": "prov",
    "provider_id": "pid",
    "reason": "why",
    "due_at": "until",
    "place_at": "slot",
    "took_ms": "ms",
    "reference": "ref",
    "account_down": "down",
    "avoid_account": "avoid",
    "passed_over": "over",
    "ask_account": "unsure",
    "maybe_sent": "maybe",
    "fell_back_to": "fell",
    "stands_in_for": "of",
    "arrived_at": "seen",
    "because_of": "for",
    "clear_at": "clear",
    "asked_s": "asked",
    "awaits": "wait",
    "index": "i",
    "machine": "bot",
    "indexed": "ix",
    "sign": "sgn",
    "link": "ln",
    "anonymous": "an",
    "country": "cc",
    "code_until": "cu",
}
"""How the fields of events are written on the stream and in ledgers; in the timeline too."""


class Facts(Struct, kw_only=True, omit_defaults=True, rename=_KEYS):
    """What an event says of one message. Times are in milliseconds since the epoch."""

    stage: str
    nth: int
    """Which time it is at this stage, from 0. Later generations count from a hundred times their number."""
    at: int
    masked_address: str | None = None
    sealed_address: str | None = None
    """The whole address, sealed (`shared.policy.sealing`); of accepted and rejected messages whose tenant keeps it."""
    account: str | None = None
    provider: str | None = None
    provider_id: str | None = None
    """The provider's id of the message."""
    reason: str | None = None
    code: str | None = None
    """The provider's raw code or, if none was asked, where and what was found."""
    due_at: int | None = None
    """When it is due again; None for a message that is held while its run is paused."""
    place_at: int | None = None
    """When the place begins that it waits for."""
    took_ms: int | None = None
    """How long the provider took."""
    reference: str | None = None
    """The caller's own."""
    note: str | None = None
    """A person's words, or the id of the key that recalled it, or who paused or cancelled its run."""
    account_down: bool = False
    avoid_account: bool = False
    """The next try goes by another account if there is one."""
    passed_over: tuple[PassedOver, ...] = ()
    """Accounts that were passed over before."""
    ask_account: bool = False
    """The account may have sent it, and is asked before anything else is done."""
    maybe_sent: bool = False
    """A try may have come through; it is sent again all the same, or given up."""
    fell_back_to: FallenTo | None = None
    """The message that takes its place."""
    stands_in_for: str | None = None
    """The tag of the message whose place it takes."""
    awaits: Awaits | None = None
    """Of one that was accepted or sent: what it has to come to, else another one is sent."""
    by: str | None = None
    """Who did it, where that need not be the recipient: a member of WeCom, masked."""
    transient: bool = False
    """Of one that is undelivered: the address may be good all the same, such as that of a full mailbox."""
    machine: bool = False
    """Of an opening or a click: that no person did it, as far as its request alone shows."""
    sign: str | None = None
    """By what the machine was known (`shared/model/engagement.py`)."""
    link: int | None = None
    """Of a click, which link of the template it was, from 1; 0 for one that is none of them."""
    anonymous: bool = False
    """Of an opening or a click of which nobody knows whose it was; its message id is made up."""
    share: tuple[int, int] | None = None
    """Of messages that an account was chosen for among several: its part of them in percent, and what it would be
    without regard to the accounts' health."""
    asked_s: int | None = None
    """How long the provider asked to wait, in seconds."""
    arrived_at: int | None = None
    """When a receipt came to the platform; `at` is the provider's time."""
    because_of: str | None = None
    """The id of the message for which this one was stopped: its duplicate, or whose receipt put the recipient on the
    suppression list."""
    listed_at: int | None = None
    """Since when the recipient is on the suppression list."""
    limit: tuple[int, int] | None = None
    """The cap that stopped it: so many messages in so many minutes, or on a calendar day if that is 0."""
    clear_at: int | None = None
    """From when on nothing of that kind would have stopped it."""
    indexed: bool = False
    """Of one that was sent: its receipts name nothing but `provider_id`, by which it must be found."""
    code_until: int | None = None
    """Of a message that carried a verification, when it was sent and when the code was given back: until when what it
    carried was good."""
    country: str | None = None
    """Of such a text, its number's (ISO 3166)."""


class EventRow(Facts, kw_only=True, omit_defaults=True, rename=_KEYS):
    """One event on the stream and in a ledger."""

    index: int
    """The recipient, counted from the first one of the root envelope."""
    tag: str
    """The recipient's tag."""


class StreamRecord(Struct, kw_only=True, omit_defaults=True, rename={"message_class": "class"}):
    """One record on the stream: what one step learned about one envelope."""

    # Always written, so their defaults are made.
    v: int = field(default_factory=lambda: 1)
    tenant: str
    envelope: str
    channel: Channel
    message_class: MessageClass
    template: str
    version: int
    request: str
    run: str | None = None
    variant: str | None = None
    kind: KeyKind = field(default_factory=lambda: KeyKind.LIVE)
    reference: str | None = None
    expires_at: int | None = None
    """The end of the messages' time to live, in milliseconds since the epoch."""
    again: int | None = None
    """How often the record was put on the stream once more, because the trace had given it up."""
    events: list[EventRow]

    def to_json(self) -> bytes:
        """The record's data."""
        return wire.write(self)

    @property
    def partition_key(self) -> str:
        """The same for every event of a message, so that repeats of an event meet in one shard."""
        return root_of(self.envelope)

    def message_ids(self) -> Iterable[tuple[str, EventRow]]:
        """Each event with its message's id."""
        number = Numbering(root_of(self.envelope))
        for row in self.events:
            yield number(row.index) + row.tag, row


read_record = wire.Reader[StreamRecord](StreamRecord)
"""Reads a record's data. Raises: UnreadableError."""
read_rows = wire.Reader[list[EventRow]](list[EventRow])
"""Reads rows. Raises: UnreadableError."""


Seal = Callable[[str, str], str]
"""Seals the address of a message: (message id, address) -> what is kept of it."""


def accepted_rows(envelope: Envelope, seal: Seal | None = None) -> list[EventRow]:
    """An `accepted` event for each recipient of an envelope. seal: None where addresses are not kept."""
    number = Numbering(envelope.root)
    at, channel, stage = envelope.accepted_at, envelope.channel.value, Stage.ACCEPTED.value
    return [
        EventRow(
            index=r.index,
            tag=r.tag,
            stage=stage,
            nth=0,
            at=at,
            masked_address=mask(channel, r.address),
            sealed_address=None if seal is None or not r.address else seal(number(r.index) + r.tag, r.address),
            reference=r.reference,
            stands_in_for=r.stands_in_for,
            awaits=awaits(envelope, r),
        )
        for r in envelope.recipients
    ]


def awaits(envelope: Envelope, recipient: EnvelopeRecipient, sent_at: int | None = None) -> Awaits | None:
    """What a recipient's message has to come to, if it is more than to be sent. sent_at: if it is, in milliseconds."""
    leg = envelope.fallback[0] if envelope.fallback else None
    if leg is None or leg.until is Until.SENT or leg.channel not in recipient.other_addresses:
        return None
    to = FallenTo(leg.channel.value, leg.template, leg.version, recipient.other_addresses[leg.channel][1])
    due_at = None if sent_at is None or leg.after_s is None else sent_at + 1000 * leg.after_s
    return Awaits(to, leg.until, due_at)


def record_of(envelope: Envelope, rows: list[EventRow]) -> StreamRecord:
    """The stream record of an envelope's events."""
    return StreamRecord(
        tenant=envelope.tenant,
        envelope=envelope.id,
        channel=envelope.channel,
        message_class=envelope.message_class,
        template=envelope.template,
        version=envelope.version,
        request=envelope.request,
        run=envelope.run,
        variant=envelope.variant,
        kind=envelope.kind,
        reference=envelope.reference,
        expires_at=envelope.ends_at,
        events=rows,
    )


class Status(Model):
    """A message's status, folded from its events."""

    state: Stage
    """The latest stage that counts."""
    final: bool
    """Whether the platform will do nothing more by itself."""
    reason: str | None = None
    code: str | None = None


_TRANSIENT = "undelivered, transient"
"""Where `_latest_by_stage` has what is undelivered for a cause that may pass."""
_REPORTED = (
    Stage.WITHDRAWN,
    Stage.COMPLAINED,
    Stage.UNSUBSCRIBED,
    # Who gave the code back has read it.
    Stage.VERIFIED,
    # Somebody said that they have it, whatever is said of how it went there.
    Stage.ACKNOWLEDGED,
    # A server may accept a message and send it back later. Who opened it meanwhile was no person (docs/receipts.md).
    Stage.UNDELIVERED,
    Stage.CLICKED,
    Stage.OPENED,
    Stage.DELIVERED,
    # An out-of-office reply is reported like this, after the message was delivered.
    _TRANSIENT,
    Stage.DELAYED,
)
"""What was reported of a message after it left, by what counts most, in whatever order it came."""
_AFTER: Mapping[str, tuple[str, ...]] = {
    Stage.SENT: _REPORTED,
    Stage.UNKNOWN: _REPORTED,
    Stage.DEAD_LETTERED: (Stage.DISCARDED, *_REPORTED),
}
_WAITING = (Stage.RETRYING, Stage.DEFERRED)
_GENERATION = 100
"""What is redriven counts on from a hundred times its generation."""
_PHASES: Mapping[str, int] = {
    Stage.REDRIVEN: 0,
    Stage.ACCEPTED: 1,
    **dict.fromkeys(_WAITING, 2),
    **dict.fromkeys(OUTCOMES, 3),
}
"""How far a message is, within a generation."""
_PHASE, _WHOLE, _REPORT = 10**4, 10**6, 10**12
_LAST = 10**15
"""All below 2**53, so that any reader of JSON has them exactly."""


F = TypeVar("F", bound=Facts)


def fold(events: Iterable[Facts]) -> Status:
    """Fold a message's events, in any order, into its status.

    An outcome outranks whatever is still open, unless a later redrive opened the message again; what the provider
    reported afterwards outranks `sent`, and that a person discarded it outranks `dead_lettered`.
    Raises: ValueError without events.
    """
    deciding, final = deciding_event(events)
    return Status(state=Stage(deciding.stage), final=final, reason=deciding.reason, code=deciding.code)


def deciding_event(events: Iterable[F]) -> tuple[F, bool]:
    """The event that says where a message stands, and whether that is final. Raises: ValueError without events."""
    latest = _latest_by_stage(events)
    if not latest:
        raise ValueError("no events")
    return _deciding(latest)


def sequence_of(event: Facts) -> int:
    """A number that says more of its message the larger it is: whoever keeps the event with the largest one, and of
    equal ones the latest, has the message's status, in whatever order they come.

    What says nothing of the status, such as a click by a machine, has 0.
    """
    if event.machine or event.stage == Stage.FELL_BACK:
        return 0
    if event.stage in (Stage.REJECTED, Stage.DISCARDED):
        return _LAST
    stage = _TRANSIENT if event.transient else event.stage
    if stage in _REPORTED:
        return _REPORT * (len(_REPORTED) - _REPORTED.index(stage)) + min(event.nth, _REPORT - 1)
    generation, nth = divmod(event.nth, _GENERATION)
    return generation * _WHOLE + _PHASES[stage] * _PHASE + nth + 1


def _order(event: Facts) -> tuple[int, int]:
    return event.nth, event.at


def _latest_by_stage(events: Iterable[F]) -> dict[str, F]:
    latest: dict[str, F] = {}
    for event in events:
        if event.machine:
            continue
        stage = _TRANSIENT if event.transient else event.stage
        seen = latest.get(stage)
        if seen is None or _order(event) >= _order(seen):
            latest[stage] = event
    return latest


def _deciding(latest: Mapping[str, F]) -> tuple[F, bool]:
    """The event that decides the status, and whether it is final."""
    if Stage.REJECTED in latest:
        return latest[Stage.REJECTED], True
    redriven = latest.get(Stage.REDRIVEN)
    generation = redriven.nth if redriven else 0
    outcomes = [e for s, e in latest.items() if s in OUTCOMES and e.nth >= generation]
    if outcomes:
        outcome = max(outcomes, key=_order)
        reports = _AFTER.get(outcome.stage, ())
        return next((latest[s] for s in reports if s in latest), outcome), True
    if redriven:
        return redriven, False
    if waiting := [latest[s] for s in _WAITING if s in latest]:
        return max(waiting, key=lambda e: e.at), False
    # A receipt can overtake the dispatcher's own record.
    return latest.get(Stage.ACCEPTED) or max(latest.values(), key=lambda e: e.at), False
