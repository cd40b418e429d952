"""Tells the stream what receipts say: an event for each, by messages' blocks. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from functions.receipts.matching import Matched
from shared.lifecycle.verdict import CODE_BYTES
from shared.model.address import mask
from shared.model.engagement import number_of
from shared.model.events import EventRow, StreamRecord
from shared.model.ids import block_of, tag_of, ulid_time
from shared.model.receipts import Receipt
from shared.model.sizes import clipped
from shared.model.words import Stage
from shared.policy.engagement import ENGAGED
from shared.store.kept_events import KeptEvent, record_like

ONCE = frozenset({Stage.DELIVERED, Stage.ACKNOWLEDGED, Stage.VERIFIED, Stage.COMPLAINED, Stage.UNSUBSCRIBED})
"""Said again, they say nothing new: a message is at these stages once."""


def records_of(matches: Iterable[Matched], now: int) -> list[StreamRecord]:
    """The records that tell of receipts. now: in milliseconds since the epoch; nothing happened later."""
    records: dict[tuple[object, ...], StreamRecord] = {}
    rows: dict[tuple[object, ...], dict[tuple[int, str, str, int], EventRow]] = defaultdict(dict)
    for match in matches:
        event = match.event
        block, index = block_of(match.message_id)
        common: tuple[object, ...] = (
            *(match.tenant, block, event.channel, event.message_class, event.template, event.version),
            *(event.request, event.kind, event.run, event.variant, event.request_reference),
        )
        if common not in records:
            records[common] = record_like(event, match.tenant, block, [])
        row = _row(match, index, now)
        # Repeats that came together take no room.
        for each in (replace(row, nth=0), row) if _is_engagement(row) else (row,):
            rows[common].setdefault((index, each.tag, each.stage, each.nth), each)
    for common, record in records.items():
        record.events.extend(rows[common].values())
    return list(records.values())


def _row(match: Matched, index: int, now: int) -> EventRow:
    receipt, event = match.receipt, match.event
    at = min(receipt.at, now)
    accepted = event.accepted or event
    return EventRow(
        index=index,
        tag=tag_of(match.message_id),
        stage=receipt.stage.value,
        nth=_nth(match),
        at=at,
        account=event.account,
        provider=receipt.provider or event.provider,
        provider_id=receipt.provider_id,
        masked_address=event.masked_address or accepted.masked_address,
        reference=event.reference or accepted.reference,
        took_ms=_took_ms(receipt, event, at),
        reason=receipt.reason,
        code=clipped(receipt.code, CODE_BYTES) if receipt.code else None,
        note=receipt.note,
        arrived_at=now,
        by=mask(event.channel, receipt.by) if receipt.by else None,
        transient=receipt.transient,
        machine=receipt.machine,
        sign=receipt.sign,
        link=receipt.link,
        anonymous=receipt.anonymous,
        **_of_code(receipt, event),
    )


def _of_code(receipt: Receipt, event: KeptEvent) -> dict[str, Any]:
    """By what it counts that a code was given back: what was said of its message when that was sent."""
    if receipt.stage is not Stage.VERIFIED or event.stage != Stage.SENT:
        return {}
    return {"code_until": event.code_until, "country": event.country, "share": event.share}


def _took_ms(receipt: Receipt, event: KeptEvent, at: int) -> int | None:
    """How long after it was sent a message was delivered, if that is known. Clocks may differ by a little."""
    if receipt.took_ms is not None:
        return receipt.took_ms
    if receipt.stage is not Stage.DELIVERED or event.stage != Stage.SENT:
        return None
    return max(0, at - event.at)


def _is_engagement(row: EventRow) -> bool:
    """Whether a person seems to have opened or clicked a message: beside it number 0 says that it happened at all."""
    return row.stage in ENGAGED and not row.machine and not row.anonymous


def _nth(match: Matched) -> int:
    """Which time the message is at this stage, the same however often a receipt comes.

    What may be said several times is numbered by the seconds since the message was accepted, by the provider's time
    alone: when a receipt comes again, ours is another. By our own links the number says more (`number_of`).
    """
    receipt = match.receipt
    once = receipt.stage in ONCE or (receipt.stage is Stage.UNDELIVERED and not receipt.transient)
    if once or receipt.anonymous:
        return 0
    second = max(1, (receipt.at - ulid_time(match.message_id)) // 1000)
    return second if receipt.place is None else number_of(second, receipt.place, receipt.machine)
