"""The operations that read the trace."""

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
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
from functions.trace.unmasking import Found, Unmasking
from functions.trace.views import view
from shared.api.kit import Call, OperationFunction
from shared.api.lookup import named_message, named_request
from shared.api.stats import AccountStats, TemplateStats
from shared.api.trace import (
    Balance,
    BalanceHour,
    MessagePage,
    MessageQuery,
    MessageView,
    RangeQuery,
    RequestLook,
    RequestView,
)
from shared.errors import invalid_field, not_found
from shared.model.address import AddressError, normalise
from shared.model.clock import Clock
from shared.model.ids import MESSAGE_ID_LENGTH, ULID_LENGTH, Tagger, ulid_time, ulid_value
from shared.model.words import OUTCOMES, Channel, KeyKind, Stage
from shared.policy.template_links import template_links
from shared.store.catalog import Catalog
from shared.store.counters import HOUR_MS, Counters, account_scope, in_flight, template_scope
from shared.store.kept_events import KeptEvent
from shared.store.timeline import Timeline
from shared.store.versions import Versions

Message = tuple[str, list[KeptEvent]]
"""A message's id and its events."""
Span = tuple[int, int, int, str | None]
"""After and before (milliseconds since the epoch), how many, and below which message id."""
MAX_HOURS = 24 * 92
MAX_REQUESTS = 20
"""Of a reference that are named."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the timeline and the counters for a caller's tenant."""

    timeline: Timeline
    counters: Counters
    catalog: Catalog
    versions: Versions
    clock: Clock
    unmasking: Unmasking

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
        """A message by id. Raises: ForbiddenError, NotFoundError, NotRecordedError."""
        whole = self.unmasking.check(call, call.query.unmask == "true")
        message_id, events = named_message(call, self.timeline)
        call.require(_kind(events), "message")
        [found] = self._views(call, whole, f"message/{message_id}", [(message_id, events)])
        return found

    def _views(self, call: Call, whole: bool, target: str, found: Sequence[Message]) -> list[MessageView]:
        """Messages as the caller sees them. whole: with whole addresses; then the look at `target` is recorded."""
        now = self.clock.now_ms()
        views = [Found(id, events, view(id, events, now)) for id, events in found]
        return self.unmasking.show(call, target, views) if whole else [each.view for each in views]

    def query_messages(self, call: Call) -> MessagePage:
        """The messages to one or several addresses, or with one reference, newest first.

        To a team or test key a page shows those of its kind: few, or none, and yet with a cursor.
        Raises: InvalidError, ForbiddenError, NotRecordedError.
        """
        query: MessageQuery = call.body
        whole = self.unmasking.check(call, query.unmask)
        tenant = self.catalog.tenant(call.caller.tenant)
        span = self._span(query)
        found: list[Message] = []
        if tenant is not None:  # else nothing was ever sent for it
            tags = [Tagger(tenant.salt, channel)(to) for channel, to in _recipients(query, tenant.region)]
            found = self._found(tenant.id, tags, query.reference, span) if span else []
        page = found[: query.limit]
        cursor = _encode_cursor(page[-1][0]) if len(found) > query.limit else None
        # The index may be ahead of the events by a moment.
        mine = [(id, events) for id, events in page if events and call.reaches(_kind(events))]
        requests = self._requests(call, query) if span else []
        views = self._views(call, whole, "messages", mine)
        return MessagePage(messages=views, requests=requests, cursor=cursor)

    def _span(self, query: MessageQuery) -> Span | None:
        """What of a recipient's messages is asked for; None for nothing. Raises: InvalidError."""
        # The range is of whole milliseconds, its end excluded: the present one belongs to it.
        after, before = _ms(query.after, 0), _ms(query.before, self.clock.now_ms() + 1)
        if query.before is not None and after > before:
            raise invalid_field("after", "is later than `before`")
        below = _decode_cursor(query.cursor, "cursor")
        # DynamoDB refuses a range whose end comes before its beginning.
        nothing = after > before or (below is not None and ulid_time(below) < after)
        return None if nothing else (after, before, query.limit + 1, below)

    def _found(self, tenant: str, tags: Sequence[str], reference: str | None, span: Span) -> list[Message]:
        """Messages with one of the tags or with the reference, newest first: one more than a page, if there are so
        many."""
        if reference is not None:
            ids = self.timeline.by_reference(tenant, reference, *span)
            return list(zip(ids, self.timeline.events_of_many(tenant, ids), strict=True))
        found = self.timeline.newest_of_many(tenant, tags, *span)
        return sorted(found, key=lambda pair: pair[0], reverse=True)

    def _requests(self, call: Call, query: MessageQuery) -> list[str]:
        if query.reference is None or query.cursor is not None:
            return []
        found = self.timeline.requests_by_reference(call.caller.tenant, query.reference, MAX_REQUESTS)
        return [request for request, kind in found if call.reaches(KeyKind(kind))]

    def get_request(self, call: Call) -> RequestView:
        """A request's messages, a page at a time. Raises: ForbiddenError, NotFoundError, InvalidError,
        NotRecordedError."""
        query: RequestLook = call.query
        whole = self.unmasking.check(call, query.unmask == "true")
        request_id, ids = named_request(call, self.timeline)
        after = _decode_cursor(query.cursor, "query.cursor")
        left = [i for i in ids if after is None or i > after]
        page = left[: query.limit]
        events = self.timeline.events_of_many(call.caller.tenant, page)
        for kind in {_kind(found) for found in events if found}:
            call.require(kind, "request")
        # The index may be ahead of the events by a moment.
        known = [pair for pair in zip(page, events, strict=True) if pair[1]]
        views = self._views(call, whole, f"request/{request_id}", known)
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


def _recipients(query: MessageQuery, region: str) -> list[tuple[str, str]]:
    """(channel, normalised address) of all that are asked for, each once. Raises: InvalidError naming the address."""
    if query.to is not None:
        return _addresses("to", query.to, query.channel, region)
    found = (_addresses(f"addresses.{i}", to, None, region) for i, to in enumerate(query.addresses or ()))
    return list(dict.fromkeys(each for several in found for each in several))


def _addresses(field: str, to: str, wanted: Channel | None, region: str) -> list[tuple[str, str]]:
    """(channel, normalised address) for each channel that the address fits. Raises: InvalidError."""
    found, problem = [], "fits no channel"
    for channel in [wanted] if wanted else list(Channel):
        try:
            found.append((channel.value, normalise(channel, to, region)))
        except AddressError as error:
            problem = str(error)
    if not found:
        raise invalid_field(field, problem if wanted else "is no email address, phone number or WeCom user id")
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
