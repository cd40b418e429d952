"""A message as callers see it: where it stands, why, what to do, and each step that led there."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from functions.trace.phrases import EN, Phrases
from functions.trace.phrases_zh import ZH
from functions.trace.words import describe, explain, no_receipt, try_of
from shared.api.trace import CapFigures, FallbackMessage, MessageView, PassedOver, TimelineEvent
from shared.model.events import FallenTo, deciding_event
from shared.model.ids import ULID_LENGTH, ulid_time
from shared.model.reasons import blame_of
from shared.model.reasons_zh import meaning_zh
from shared.model.words import Channel, MessageClass, Stage
from shared.policy.engagement import judged
from shared.policy.retry import SCHEDULES
from shared.store.kept_events import KeptEvent

_RANK = {stage.value: i for i, stage in enumerate(Stage)}


def view(message_id: str, events: list[KeptEvent], now: int) -> MessageView:
    """A message as callers see it, from its events. now: in milliseconds since the epoch."""
    events = judged(events)
    deciding, final = deciding_event(events)
    meaning, action = no_receipt(deciding, now) or explain(deciding)
    meaning_in_zh, action_in_zh = no_receipt(deciding, now, ZH) or explain(deciding, ZH)
    ordered = sorted(events, key=lambda e: (e.at, _RANK[e.stage], e.nth))
    any_event, ulid = ordered[0], message_id[:ULID_LENGTH]
    fell = next((e.fell_back_to for e in events if e.fell_back_to), None)
    stands_in_for = next((e.stands_in_for for e in events if e.stands_in_for), None)
    return MessageView(
        message_id=message_id,
        request_id=any_event.request,
        status=Stage(deciding.stage),
        final=final,
        explanation=meaning,
        explanation_zh=meaning_in_zh,
        action=action,
        action_zh=action_in_zh,
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
        timeline=[_event(e, ulid, n) for e, n in zip(ordered, _tries(ordered), strict=True)],
    )


def _fallback(ulid: str, to: FallenTo) -> FallbackMessage:
    return FallbackMessage(message_id=ulid + to.tag, channel=Channel(to.channel), template=to.template)


_TRIED = frozenset({Stage.RETRYING, Stage.SENT, Stage.FAILED, Stage.UNKNOWN, Stage.EXPIRED, Stage.DEAD_LETTERED})


def _tries(events: Sequence[KeptEvent]) -> Iterator[int | None]:
    """For each event which try it tells of; None if of none. A redrive begins anew."""
    made = 0
    for event in events:
        if event.stage == Stage.REDRIVEN:
            made = 0
        tried = event.stage in _TRIED and event.message_class and event.provider and event.took_ms is not None
        if tried:
            made += 1
        yield made if tried else None


def _event(event: KeptEvent, ulid: str, nth: int | None) -> TimelineEvent:
    cure, cure_zh = _cures(event)
    share, configured = event.share or (None, None)
    return TimelineEvent(
        stage=Stage(event.stage),
        at=_time(event.at),
        text=_text(event, ulid, nth, EN),
        text_zh=_text(event, ulid, nth, ZH),
        attempt=nth,
        attempts=None if nth is None else SCHEDULES[MessageClass(event.message_class)].tries,
        account=event.account,
        provider=event.provider,
        provider_message_id=event.provider_id,
        reason=event.reason,
        reason_zh=meaning_zh(event.reason),
        action=cure,
        action_zh=cure_zh,
        blame=blame_of(event.reason),
        code=event.code,
        transient=event.transient,
        by_machine=event.machine,
        machine_sign=event.sign,
        link=event.link,
        until=_time_or_none(event.due_at),
        duration_ms=event.took_ms,
        passed_over=[PassedOver(account=a, reason=why, code=code) for a, why, code in event.passed_over],
        share=share,
        share_configured=configured,
        provider_asked_s=event.asked_s,
        because_of=event.because_of,
        listed_at=_time_or_none(event.listed_at),
        cap=None if event.limit is None else CapFigures(count=event.limit[0], minutes=event.limit[1] or None),
        clear_at=_time_or_none(event.clear_at),
        arrived_at=_time_or_none(event.arrived_at),
    )


def _text(event: KeptEvent, ulid: str, nth: int | None, say: Phrases) -> str:
    text = describe(event, ulid, say)
    return text if nth is None else say.between.join((text, try_of(nth, event.message_class, say)))


def _cures(event: KeptEvent) -> tuple[str | None, str | None]:
    """What to do about an event's reason, in both languages."""
    return (None, None) if event.reason is None else (explain(event)[1], explain(event, ZH)[1])


def _time_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else _time(ms)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
