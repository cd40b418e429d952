"""Finds the messages that receipts are about.

A receipt names its message by our own id, by that of another message of its request and the address, by the address and
the provider's id, or by the provider's id alone (see `Receipt`). None is believed that names a message which did not go
through the account that it came for.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from shared.model.address import AddressError, normalise
from shared.model.ids import ULID_LENGTH, Tagger, base_of, is_message_id
from shared.model.origin import read_origin
from shared.model.receipts import Receipt
from shared.model.words import Channel, Stage
from shared.providers.table import PROVIDERS
from shared.store.catalog import Catalog
from shared.store.kept_events import KeptEvent, event_key_of
from shared.store.timeline import Timeline

REACH_MS = 30 * 86_400_000
"""How long after a message was accepted receipts find it by its address. Answers of recipients come late."""

SKEW_MS = 120_000
"""By how much a provider's clock may be behind ours: a message that was sent later is none that it speaks of."""


class Matched(Struct, frozen=True):
    """A receipt and its message."""

    receipt: Receipt
    tenant: str
    message_id: str
    event: KeptEvent
    """One of the message's events: that it was sent, if that is known."""
    told: bool = False
    """Of a code that was given back: the timeline says so already."""


_Way = Callable[[Sequence[Receipt], bool], list[Matched | None]]
"""Finds the messages of receipts that name them in the same way."""


class Matcher:
    """Finds messages in the timeline. pool: to look for many side by side.

    One that may still fall back is known once it is known to be sent: that says where its fallback waits.
    """

    def __init__(self, timeline: Timeline, catalog: Catalog, pool: Executor | None = None) -> None:
        self._timeline = timeline
        self._catalog = catalog
        self._map: Callable[..., Iterable[Any]] = map if pool is None else pool.map

    def match(self, receipts: Sequence[Receipt], *, thorough: bool) -> tuple[list[Matched], list[Receipt]]:
        """Those whose messages are known, and the others. Raises: what the tables raise.

        thorough: look for messages of which it is not known that they were sent, too: a request for each. Most of those
        that are not known to be sent will be so in a moment.
        """
        ways: dict[_Way, list[Receipt]] = defaultdict(list)
        left: list[Receipt] = []
        for receipt in receipts:
            way = self._way(receipt)
            if way is None:
                left.append(receipt)
            else:
                ways[way].append(receipt)
        found: list[Matched] = []
        for way, some in ways.items():
            for receipt, match in zip(some, way(some, thorough), strict=True):
                if match is not None and _fits(receipt, match.event):
                    found.append(match)
                else:
                    left.append(receipt)
        return found, left

    def _way(self, receipt: Receipt) -> _Way | None:
        """How the message of a receipt is found; None if it says too little."""
        if receipt.origin is not None and receipt.message_id is not None and is_message_id(receipt.message_id):
            return self._by_origins
        if receipt.tenant is not None and receipt.message_id is not None:
            if not is_message_id(receipt.message_id):
                return None
            if receipt.carriers:
                return self._by_carriers
            return self._by_requests if receipt.same_request else self._by_message_ids
        if receipt.tenant is not None and receipt.address is not None:
            return self._by_addresses
        return self._by_provider_ids if receipt.provider_id is not None else None

    def _by_origins(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        """What rode along says all, and nothing is asked; what cannot be read is looked up."""
        found = list(map(_told, receipts))
        unread = [_of_its_tenant(receipt) for receipt, match in zip(receipts, found, strict=True) if match is None]
        looked_up = iter(self._by_message_ids(unread, thorough) if unread else ())
        return [match or next(looked_up) for match in found]

    def _by_message_ids(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        return self._at([(each.tenant or "", each.message_id or "") for each in receipts], receipts, thorough)

    def _by_carriers(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        """Most codes went by one message, and one read for all of these says so; of the others all is looked at."""
        lone = {(each.tenant or "", each.carriers[0]) for each in receipts if len(each.carriers) == 1}
        stages = (Stage.SENT, Stage.VERIFIED)
        events = self._timeline.read([event_key_of(*each, stage) for each in lone for stage in stages])
        found: list[Matched | None] = []
        for receipt in receipts:
            tenant, first = receipt.tenant or "", receipt.carriers[0]
            event = events.get(event_key_of(tenant, first, Stage.SENT))
            if event is not None and event.awaits is None:
                told = event_key_of(tenant, first, Stage.VERIFIED) in events
                found.append(Matched(receipt, tenant, first, event, told))
            else:
                found.append(self._carrier(receipt, tenant) or self._last_carrier(receipt, thorough))
        return found

    def _carrier(self, receipt: Receipt, tenant: str) -> Matched | None:
        """The message that brought a code, as well as that can be known; the same once it has been told."""
        legs, seen = list(receipt.carriers), dict[str, list[KeptEvent]]()
        while new := [leg for leg in dict.fromkeys(legs) if leg not in seen]:
            seen |= zip(new, self._timeline.events_of_many(tenant, new), strict=True)
            fell = [(leg, e.fell_back_to.tag) for leg in new for e in seen[leg] if e.fell_back_to is not None]
            legs += [leg[:ULID_LENGTH] + tag for leg, tag in fell]
        told = {leg: events for leg, events in seen.items() if any(e.stage == Stage.VERIFIED for e in events)}
        sent = [
            (event.at, leg, event)
            for leg, events in (told or seen).items()
            for event in events
            if event.stage == Stage.SENT and (told or event.at <= receipt.at + SKEW_MS)
        ]
        if not sent:
            return None
        _, leg, event = max(sent, key=lambda each: each[0])
        return Matched(receipt, tenant, leg, event, leg in told)

    def _last_carrier(self, receipt: Receipt, thorough: bool) -> Matched | None:
        """The last message that was asked for, if of none it is known that it was sent."""
        return self._by_message_ids([receipt], True)[0] if thorough else None

    def _by_provider_ids(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        ids = [(each.provider, each.provider_id or "") for each in receipts]
        places = self._timeline.by_provider_ids(ids)
        return self._at([places.get(each) for each in ids], receipts, thorough)

    def _at(
        self, places: Sequence[tuple[str, str] | None], receipts: Sequence[Receipt], thorough: bool
    ) -> list[Matched | None]:
        """The receipts with the messages, by tenant and id, that they are about."""
        events = self._events({place for place in places if place is not None}, thorough)
        return [
            Matched(receipt, *place, events[place]) if place is not None and place in events else None
            for receipt, place in zip(receipts, places, strict=True)
        ]

    def _events(self, messages: Iterable[tuple[str, str]], thorough: bool) -> dict[tuple[str, str], KeptEvent]:
        """That a message was sent, by one read for a hundred; else, if that is wanted, whatever there is of it."""
        keys = {event_key_of(*message, Stage.SENT): message for message in messages}
        found = {keys[key]: event for key, event in self._timeline.read(list(keys)).items()}
        missing: dict[str, list[str]] = defaultdict(list)
        for tenant, message_id in keys.values() if thorough else ():
            if (tenant, message_id) not in found:
                missing[tenant].append(message_id)
        for tenant, ids in missing.items():
            for message_id, events in zip(ids, self._timeline.events_of_many(tenant, ids), strict=True):
                sent_or_last = max(events, key=lambda event: (event.stage == Stage.SENT, event.nth), default=None)
                if sent_or_last is not None and (
                    sent_or_last.stage == Stage.SENT or not any(event.awaits for event in events)
                ):
                    found[tenant, message_id] = sent_or_last
        return found

    def _by_requests(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        return list(self._map(self._by_request, receipts))

    def _by_request(self, receipt: Receipt) -> Matched | None:
        found = self._recipient(receipt)
        if found is None:
            return None
        tenant, tag = found
        for message_id, event in self._timeline.sent_in_request(tenant, tag, receipt.message_id or ""):
            if _fits(receipt, event):
                return Matched(receipt, tenant, message_id, event)
        return None

    def _by_addresses(self, receipts: Sequence[Receipt], thorough: bool) -> list[Matched | None]:
        return list(self._map(self._by_address, receipts))

    def _by_address(self, receipt: Receipt) -> Matched | None:
        found = self._recipient(receipt)
        if found is None:
            return None
        tenant, tag = found
        for message_id, event in self._timeline.sent_to(tenant, tag, receipt.at - REACH_MS):
            meant = event.at <= receipt.at + SKEW_MS if receipt.latest else event.provider_id == receipt.provider_id
            if meant and _fits(receipt, event):
                return Matched(receipt, tenant, message_id, event)
        return None

    def _recipient(self, receipt: Receipt) -> tuple[str, str] | None:
        """The tenant and the tag of the recipient whose address a receipt names; None if that is none of ours."""
        tenant = self._catalog.tenant(receipt.tenant or "")
        if tenant is None:
            return None
        channel = PROVIDERS[receipt.provider].channel
        tag = self._tag(tenant.salt, channel, receipt.address or "", tenant.region)
        return None if tag is None else (tenant.id, tag)

    @staticmethod
    def _tag(salt: bytes, channel: Channel, address: str, region: str) -> str | None:
        try:
            return Tagger(salt, channel.value)(normalise(channel.value, address, region))
        except AddressError:
            return None


def _told(receipt: Receipt) -> Matched | None:
    """A receipt and its message, by what rode along."""
    origin, message_id = read_origin(receipt.origin or ""), receipt.message_id or ""
    if origin is None or origin.waits:
        return None
    event = KeptEvent(
        stage="",
        nth=0,
        at=0,
        account=origin.account,
        provider=receipt.provider,
        channel=receipt.channel or PROVIDERS[receipt.provider].channel,
        message_class=origin.message_class,
        template=origin.template,
        version=origin.version,
        # Its messages are numbered from the request's own ULID.
        request=base_of(message_id[:ULID_LENGTH]),
        kind=origin.kind,
        run=origin.run,
        variant=origin.variant,
    )
    return Matched(receipt, origin.tenant, message_id, event)


def _of_its_tenant(receipt: Receipt) -> Receipt:
    """A receipt with the tenant that rode along, if it can be read."""
    origin = read_origin(receipt.origin or "")
    return receipt if origin is None else replace(receipt, tenant=origin.tenant)


def _fits(receipt: Receipt, event: KeptEvent) -> bool:
    """Whether a message may have gone through the account that a receipt came for."""
    if not receipt.provider:
        return True
    if event.provider is None:
        # Accepted, and no more is known of it yet.
        return receipt.account is None
    return event.provider == receipt.provider and receipt.account in (None, event.account)
