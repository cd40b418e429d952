"""A message as callers see it: where it stands, why, what to do, and each step that led there."""

from datetime import UTC, datetime

from functions.trace.words import describe, explain, no_receipt
from shared.api.trace import FallbackMessage, MessageView, PassedOver, TimelineEvent
from shared.model.events import FallenTo, deciding_event
from shared.model.ids import ULID_LENGTH, ulid_time
from shared.model.reasons import blame_of
from shared.model.reasons_zh import meaning_zh
from shared.model.words import Channel, Stage
from shared.store.timeline import KeptEvent

_RANK = {stage.value: i for i, stage in enumerate(Stage)}
_ENGAGED = frozenset({Stage.OPENED, Stage.CLICKED})


def view(message_id: str, events: list[KeptEvent], now: int) -> MessageView:
    """A message as callers see it, from its events. now: in milliseconds since the epoch."""
    deciding, final = deciding_event(events)
    meaning, action = no_receipt(deciding, now) or explain(deciding)
    ordered = sorted(_told(events), key=lambda e: (e.at, _RANK[e.stage], e.nth))
    any_event, ulid = ordered[0], message_id[:ULID_LENGTH]
    fell = next((e.fell_back_to for e in events if e.fell_back_to), None)
    stands_in_for = next((e.stands_in_for for e in events if e.stands_in_for), None)
    return MessageView(
        message_id=message_id,
        request_id=any_event.request,
        status=Stage(deciding.stage),
        final=final,
        explanation=meaning,
        action=action,
        channel=any_event.channel,
        message_class=any_event.message_class,
        template=any_event.template,
        version=any_event.version,
        kind=any_event.kind,
        run=any_event.run,
        variant=any_event.variant,
        to=next((e.masked_address for e in events if e.masked_address is not None), None),
        reference=next((e.reference for e in events if e.reference is not None), any_event.request_reference),
        accepted_at=_time(ulid_time(message_id)),
        falls_back_to=_fallback(ulid, fell) if fell else None,
        fallback_of=ulid + stands_in_for if stands_in_for else None,
        timeline=[_event(e, ulid) for e in ordered],
    )


def _told(events: list[KeptEvent]) -> list[KeptEvent]:
    """The events without what only says beside others that a message was opened or clicked at all, for counting."""
    shown = {e.stage for e in events if e.stage in _ENGAGED and e.nth > 0 and not e.machine}
    return [e for e in events if e.nth > 0 or e.stage not in shown]


def _fallback(ulid: str, to: FallenTo) -> FallbackMessage:
    return FallbackMessage(message_id=ulid + to.tag, channel=Channel(to.channel), template=to.template)


def _event(event: KeptEvent, ulid: str) -> TimelineEvent:
    return TimelineEvent(
        stage=Stage(event.stage),
        at=_time(event.at),
        text=describe(event, ulid),
        account=event.account,
        provider=event.provider,
        provider_message_id=event.provider_id,
        reason=event.reason,
        reason_zh=meaning_zh(event.reason),
        blame=blame_of(event.reason),
        code=event.code,
        transient=event.transient,
        by_machine=event.machine,
        until=None if event.due_at is None else _time(event.due_at),
        duration_ms=event.took_ms,
        passed_over=[PassedOver(account=a, reason=why, code=code) for a, why, code in event.passed_over],
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
