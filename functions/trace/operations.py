"""The operations that read the trace."""

import base64
import binascii
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.trace.statistics import (
    MOST_VERSIONS,
    Counts,
    Targets,
    account_statistics,
    stages_of,
    statistics,
    versions_followed,
)
from functions.trace.words import describe, explain, no_receipt
from shared.api.kit import Call, OperationFunction
from shared.api.lookup import named_message, named_request
from shared.api.paging import PageQuery
from shared.api.stats import AccountStats, TemplateStats
from shared.api.trace import (
    Balance,
    BalanceHour,
    FallbackMessage,
    MessagePage,
    MessageQuery,
    MessageView,
    PassedOver,
    RangeQuery,
    RequestView,
    TimelineEvent,
)
from shared.errors import invalid_field, not_found
from shared.model.address import AddressError, normalise
from shared.model.clock import Clock
from shared.model.events import FallenTo, deciding_event
from shared.model.ids import MESSAGE_ID_LENGTH, ULID_LENGTH, Tagger, ulid_time, ulid_value
from shared.model.reasons import blame_of
from shared.model.reasons_zh import meaning_zh
from shared.model.words import OUTCOMES, Channel, KeyKind, Stage
from shared.policy.engagement import judged
from shared.policy.template_links import template_links
from shared.store.catalog import Catalog
from shared.store.counters import HOUR_MS, Counters, account_scope, in_flight, template_scope
from shared.store.timeline import KeptEvent, Timeline
from shared.store.versions import Versions

MAX_HOURS = 24 * 92
MAX_REQUESTS = 20
"""Of a reference that are named."""
_RANK = {stage.value: i for i, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the timeline and the counters for a caller's tenant."""

    timeline: Timeline
    counters: Counters
    catalog: Catalog
    versions: Versions
    clock: Clock

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {
            "get_message": self.get_message,
            "query_messages": self.query_messages,
            "get_request": self.get_request,
            "get_balance": self.get_balance,
            "get_template_stats": self.get_template_stats,
            "get_account_stats": self.get_account_stats,
        }

    def get_message(self, call: Call) -> MessageView:
        """A message by id. Raises: ForbiddenError, NotFoundError."""
        message_id, events = named_message(call, self.timeline)
        call.require(_kind(events), "message")
        return view(message_id, events, self.clock.now_ms())

    def query_messages(self, call: Call) -> MessagePage:
        """The messages to one recipient, or with one reference, newest first. Raises: InvalidError.

        To a team or test key a page shows those of its kind: few, or none, and yet with a cursor.
        """
        query: MessageQuery = call.body
        tenant = self.catalog.tenant(call.caller.tenant)
        if tenant is None:  # nothing was ever sent for it
            return MessagePage(messages=[])
        now = self.clock.now_ms()
        after = _ms(query.after, 0)
        # The range is of whole milliseconds, its end excluded: the present one belongs to it.
        before = _ms(query.before, now + 1)
        if query.before is not None and after > before:
            raise invalid_field("after", "is later than `before`")
        below = _decode_cursor(query.cursor, "cursor")
        found: list[tuple[str, list[KeptEvent]]] = []
        addresses = [] if query.to is None else _addresses(query.to, query.channel, tenant.region)
        # DynamoDB refuses a range whose end comes before its beginning.
        if after > before or (below is not None and ulid_time(below) < after):
            return MessagePage(messages=[])
        span = (after, before, query.limit + 1, below)
        for channel, address in addresses:
            tag = Tagger(tenant.salt, channel)(address)
            found += self.timeline.newest(tenant.id, tag, *span)
        if query.reference is not None:
            ids = self.timeline.by_reference(tenant.id, query.reference, *span)
            found = list(zip(ids, self.timeline.events_of_many(tenant.id, ids), strict=True))
        found.sort(key=lambda pair: pair[0], reverse=True)
        page = found[: query.limit]
        cursor = _encode_cursor(page[-1][0]) if len(found) > query.limit else None
        # The index may be ahead of the events by a moment.
        mine = [view(message_id, events, now) for message_id, events in page if events and call.reaches(_kind(events))]
        return MessagePage(messages=mine, requests=self._requests(call, query), cursor=cursor)

    def _requests(self, call: Call, query: MessageQuery) -> list[str]:
        if query.reference is None or query.cursor is not None:
            return []
        found = self.timeline.requests_by_reference(call.caller.tenant, query.reference, MAX_REQUESTS)
        return [request for request, kind in found if call.reaches(KeyKind(kind))]

    def get_request(self, call: Call) -> RequestView:
        """A request's messages, a page at a time. Raises: ForbiddenError, NotFoundError, InvalidError."""
        query: PageQuery = call.query
        request_id, ids = named_request(call, self.timeline)
        after = _decode_cursor(query.cursor, "query.cursor")
        left = [i for i in ids if after is None or i > after]
        page = left[: query.limit]
        events = self.timeline.events_of_many(call.caller.tenant, page)
        for kind in {_kind(found) for found in events if found}:
            call.require(kind, "request")
        # The index may be ahead of the events by a moment.
        views = [
            view(message_id, found, self.clock.now_ms())
            for message_id, found in zip(page, events, strict=True)
            if found
        ]
        counts = Counter(v.status.value for v in views)
        cursor = _encode_cursor(page[-1]) if len(left) > query.limit else None
        return RequestView(request_id=request_id, messages=views, counts=dict(counts), cursor=cursor)

    def get_balance(self, call: Call) -> Balance:
        """The balance of the tenant, hour by hour. Raises: InvalidError."""
        first, last = self._hours(call.query)
        hours = []
        total: Counter[str] = Counter()
        for hour, counts in self.counters.read(f"{call.caller.tenant}#tenant", first, last).items():
            total.update(counts)
            hours.append(BalanceHour(hour=_hour(hour), **_balance(counts)))
        return Balance(**_balance(total), rejected=total[Stage.REJECTED], hours=hours)

    def get_template_stats(self, call: Call) -> TemplateStats:
        """A template's messages in numbers. Raises: NotFoundError, InvalidError."""
        template, query = call.path["id"], call.query
        if self.catalog.template(call.caller.tenant, template) is None:
            raise not_found("template")
        first, last = self._hours(query)
        counts = self.counters.read_groups(template_scope(call.caller.tenant, template), first, last)
        providers = {account.id: account.provider for account in self.catalog.list_accounts(call.caller.tenant)}
        targets = self._targets(call.caller.tenant, template, counts)
        return statistics(template, counts, query.by, self._zone(call), targets, providers)

    def get_account_stats(self, call: Call) -> AccountStats:
        """An account's messages in numbers. Raises: NotFoundError, InvalidError."""
        account = self.catalog.account(call.caller.tenant, call.path["id"])
        if account is None:
            raise not_found("account")
        first, last = self._hours(call.query)
        hours = self.counters.read(account_scope(account.tenant, account.id), first, last)
        return account_statistics(account.id, account.provider, hours, call.query.by, self._zone(call))

    def _zone(self, call: Call) -> str:
        tenant = self.catalog.tenant(call.caller.tenant)
        return tenant.time_zone if tenant else "UTC"

    def _targets(self, tenant: str, template: str, counts: Counts) -> Targets:
        """Where the links of those versions lead of which clicks were counted: one request for all of them."""
        newest = sorted(versions_followed(counts), reverse=True)[:MOST_VERSIONS]
        found = self.versions.find(tenant, template, newest) if newest else {}
        return {number: template_links(version.content) for number, version in found.items()}

    def _hours(self, query: RangeQuery) -> tuple[int, int]:
        """The cohort hours asked for, both included; by default the last 24."""
        last = _ms(query.before, self.clock.now_ms()) // HOUR_MS
        first = _ms(query.after, (last - 23) * HOUR_MS) // HOUR_MS
        if first > last:
            raise invalid_field("query.after", "is later than `before`")
        if last - first >= MAX_HOURS:
            raise invalid_field("query.after", f"ask for at most {MAX_HOURS // 24} days at once")
        return first, last


def _kind(events: list[KeptEvent]) -> KeyKind:
    """Of the key that sent a message."""
    return KeyKind(events[0].kind)


def view(message_id: str, events: list[KeptEvent], now: int) -> MessageView:
    """A message as callers see it, from its events. now: in milliseconds since the epoch."""
    events = judged(events)
    deciding, final = deciding_event(events)
    meaning, action = no_receipt(deciding, now) or explain(deciding)
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
        machine_sign=event.sign,
        link=event.link,
        until=None if event.due_at is None else _time(event.due_at),
        duration_ms=event.took_ms,
        passed_over=[PassedOver(account=a, reason=why, code=code) for a, why, code in event.passed_over],
    )


def _addresses(to: str, wanted: Channel | None, region: str) -> list[tuple[str, str]]:
    """(channel, normalised address) for each channel that the address fits. Raises: InvalidError."""
    found, problem = [], "fits no channel"
    for channel in [wanted] if wanted else list(Channel):
        try:
            found.append((channel.value, normalise(channel, to, region)))
        except AddressError as error:
            problem = str(error)
    if not found:
        raise invalid_field("to", problem if wanted else "is no email address, phone number or WeCom user id")
    return found


def _balance(counts: Counter[str]) -> dict[str, Any]:
    outcomes = {stage: n for stage, n in stages_of(counts).items() if stage in OUTCOMES}
    accepted, redriven = counts[Stage.ACCEPTED], counts[Stage.REDRIVEN]
    return {
        "accepted": accepted,
        "redriven": redriven,
        "outcomes": outcomes,
        "in_flight": in_flight(counts),
    }


def _encode_cursor(message_id: str) -> str:
    return base64.urlsafe_b64encode(message_id.encode()).decode()


def _decode_cursor(cursor: str | None, field: str) -> str | None:
    if cursor is None:
        return None
    try:
        message_id = base64.urlsafe_b64decode(cursor.encode()).decode()
        if len(message_id) != MESSAGE_ID_LENGTH:
            raise ValueError
        ulid_value(message_id[:ULID_LENGTH])
    except (ValueError, binascii.Error):
        raise invalid_field(field, "give back the cursor of an earlier page as it was") from None
    return message_id


def _ms(when: datetime | None, default: int) -> int:
    return default if when is None else max(0, int(when.timestamp() * 1000))


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _hour(hour: int) -> datetime:
    return _time(hour * HOUR_MS)
