"""Events: facts about messages at stages, how they travel on the stream, and how status is folded from them."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from typing_extensions import TypedDict

from shared.model.address import mask
from shared.model.envelope import Envelope
from shared.model.ids import Numbering, root_of
from shared.model.words import OUTCOMES, Channel, KeyKind, MessageClass, Stage


class Fell(TypedDict):
    """Where a message fell back to: channel, template version and the recipient's tag there."""

    channel: str
    template: str
    version: int
    tag: str


class EventRow(TypedDict):
    """One event on the stream.

    i: recipient, counted from the root envelope's base. tag: the recipient's tag. s: stage. n: which time at it.
    at: milliseconds since the epoch. to: masked address. acc, prov: account and provider. pid: the provider's message
    id. why, code: reason, and the provider's raw code or, if none was asked, where and what was found. until: when it
    is due again. slot: when the place begins that it waits for. ms: how long the provider took. ref: reference. note: a
    person's words, or the id of the key that recalled it, or who paused or cancelled its run. down: the account was
    down. avoid: the next try goes by another account if there is one. over: accounts that were passed over before, each
    with the reason and the raw code.
    unsure: the account may have sent it and is asked before anything else. maybe: it may have been sent, and is sent
    again all the same, or given up. fell: the message that takes its place. of: the tag of the message whose place it
    takes.
    """

    i: int
    tag: str
    s: str
    n: int
    at: int
    to: NotRequired[str]
    acc: NotRequired[str]
    prov: NotRequired[str]
    pid: NotRequired[str]
    why: NotRequired[str]
    code: NotRequired[str]
    until: NotRequired[int]
    slot: NotRequired[int]
    ms: NotRequired[int]
    ref: NotRequired[str]
    note: NotRequired[str]
    down: NotRequired[bool]
    avoid: NotRequired[bool]
    over: NotRequired[list[list[str]]]
    unsure: NotRequired[bool]
    maybe: NotRequired[bool]
    fell: NotRequired[Fell]
    of: NotRequired[str]


_ALIAS = {"message_class": "class"}


class StreamRecord(BaseModel):
    """One record on the stream: what one step learned about one envelope.

    expires_at: the end of the messages' time to live, in milliseconds since the epoch. again: how often the record was
    put on the stream once more, because the trace had given it up.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    v: Literal[1] = 1
    tenant: str
    envelope: str
    channel: Channel
    message_class: MessageClass = Field(alias="class")
    template: str
    version: int
    request: str
    run: str | None = None
    variant: str | None = None
    kind: KeyKind = KeyKind.LIVE
    reference: str | None = None
    expires_at: int | None = None
    again: int | None = None
    events: list[EventRow]

    def to_json(self) -> bytes:
        """The record's data."""
        # The model's own serialiser takes several times as long for a hundred events.
        return to_json({_ALIAS.get(name, name): value for name, value in self.__dict__.items() if value is not None})

    @property
    def partition_key(self) -> str:
        """The same for every event of a message, so that repeats of an event meet in one shard."""
        return root_of(self.envelope)

    def message_ids(self) -> Iterable[tuple[str, EventRow]]:
        """Each event with its message's id."""
        number = Numbering(root_of(self.envelope))
        for row in self.events:
            yield number(row["i"]) + row["tag"], row


def accepted_rows(envelope: Envelope) -> list[EventRow]:
    """An `accepted` event for each recipient of an envelope."""
    at, channel = envelope.accepted_at, envelope.channel.value
    rows: list[EventRow] = []
    for r in envelope.recipients:
        row: EventRow = {"i": r["i"], "tag": r["tag"], "s": "accepted", "n": 0, "at": at, "to": mask(channel, r["to"])}
        if "ref" in r:
            row["ref"] = r["ref"]
        if "of" in r:
            row["of"] = r["of"]
        rows.append(row)
    return rows


def record_of(envelope: Envelope, rows: list[EventRow]) -> StreamRecord:
    """The stream record of an envelope's events."""
    return StreamRecord.model_construct(
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


class Status(BaseModel):
    """A message's status, folded from its events.

    state: the latest stage that counts. final: whether the platform will do nothing more by itself.
    """

    state: Stage
    final: bool
    reason: str | None = None
    code: str | None = None


_AFTER_SENT = (
    Stage.WITHDRAWN,
    Stage.COMPLAINED,
    Stage.UNSUBSCRIBED,
    Stage.CLICKED,
    Stage.OPENED,
    Stage.UNDELIVERED,
    Stage.DELIVERED,
)
_AFTER: Mapping[str, tuple[Stage, ...]] = {
    Stage.SENT: _AFTER_SENT,
    Stage.UNKNOWN: _AFTER_SENT,
    Stage.DEAD_LETTERED: (Stage.DISCARDED,),
}
_WAITING = (Stage.RETRYING, Stage.DEFERRED)


def fold(events: Iterable[Mapping[str, Any]]) -> Status:
    """Fold a message's events (`s`, `n`, `at`, `why`, `code`), in any order, into its status.

    An outcome outranks whatever is still open, unless a later redrive opened the message again; what the provider
    reported afterwards outranks `sent`, and that a person discarded it outranks `dead_lettered`.
    Raises: ValueError without events.
    """
    latest = _latest_by_stage(events)
    if not latest:
        raise ValueError("no events")
    deciding, final = _deciding(latest)
    return Status(state=Stage(deciding["s"]), final=final, reason=deciding.get("why"), code=deciding.get("code"))


def _latest_by_stage(events: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    latest: dict[str, Mapping[str, Any]] = {}
    for event in events:
        seen = latest.get(event["s"])
        if seen is None or (event["n"], event["at"]) >= (seen["n"], seen["at"]):
            latest[event["s"]] = event
    return latest


def _deciding(latest: dict[str, Mapping[str, Any]]) -> tuple[Mapping[str, Any], bool]:
    """The event that decides the status, and whether it is final."""
    if Stage.REJECTED in latest:
        return latest[Stage.REJECTED], True
    redriven = latest.get(Stage.REDRIVEN)
    generation = redriven["n"] if redriven else 0
    outcomes = [e for s, e in latest.items() if s in OUTCOMES and e["n"] >= generation]
    if outcomes:
        outcome = max(outcomes, key=lambda e: (e["n"], e["at"]))
        reports = _AFTER.get(outcome["s"], ())
        return next((latest[s] for s in reports if s in latest), outcome), True
    if redriven:
        return redriven, False
    if waiting := [latest[s] for s in _WAITING if s in latest]:
        return max(waiting, key=lambda e: int(e["at"])), False
    # A receipt can overtake the dispatcher's own record.
    return latest.get(Stage.ACCEPTED) or max(latest.values(), key=lambda e: int(e["at"])), False
