"""Sends messages in the place of sent ones: of those that came back, at once; of those of which too little is known
when their time is over.

What is decided is decided once, in the store, whether by a receipt, a recall or the end of the time. What follows is
made from that anew as often as it takes: the message or the receipt comes back to the queue until all is done.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct
from msgspec.structs import replace

from functions.receipts.matching import Matched
from shared.aws.queue import Dispatch
from shared.errors import NotQueuedError
from shared.lifecycle.awaiting import Follower, late_followers, undelivered_followers
from shared.model.address import mask
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import Seal, StreamRecord
from shared.model.ids import ULID_LENGTH, Numbering, root_of, ulid_value
from shared.model.receipts import Look, Receipt
from shared.model.words import MessageClass
from shared.policy.awaiting import follows
from shared.store.awaiting import Awaiting, Decision, What

logger = Logger(child=True)


class Store(Protocol):
    """Where sent envelopes wait, and what is decided of their recipients."""

    def read(self, envelope_id: str) -> Awaiting: ...

    def decide(self, envelope_id: str, recipients: Iterable[int], what: What) -> dict[int, Decision]: ...


class Queues(Protocol):
    """Where envelopes are sent; returns the ids of those that could not be."""

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]: ...


class Looks(Protocol):
    """Where looks are put off."""

    def look(self, look: Look, now: int) -> None: ...


class Stream(Protocol):
    """Where events are told."""

    def put(self, records: Sequence[StreamRecord]) -> None: ...


class Sealing(Protocol):
    """What seals the addresses of each tenant; None where they are not kept."""

    def of(self, tenant_id: str) -> Seal | None: ...


class Falling(Struct, frozen=True):
    """Decides on the fallback of sent messages. No request is made for messages that have none."""

    store: Store
    queues: Queues
    looks: Looks
    stream: Stream
    clock: Clock
    seals: Sealing

    def take(self, matches: Sequence[Matched]) -> list[Receipt]:
        """Decide by what receipts say; returns those that must come again, since the envelope is not kept yet.

        Raises: NotQueuedError; what the store and the stream raise. All of it may be repeated.
        """
        arrived, back = _sorted_out(matches)
        for envelope_id, recipients in arrived.items():
            self.store.decide(envelope_id, recipients, What.ARRIVED)
        return [receipt for id, said in back.items() for receipt in self._came_back(id, said)]

    def everybody(self, matches: Sequence[Matched]) -> tuple[list[Matched], list[Receipt]]:
        """What holds for all who got a card, of the others beside who pressed it, as far as their messages wait; and
        the receipts that must come again, since these are not kept yet. Raises: what the store raises."""
        others: list[Matched] = []
        again: list[Receipt] = []
        for match in matches:
            event = match.event
            if not match.receipt.for_all or event.envelope is None:
                continue
            kept = self.store.read(event.envelope).envelope
            if kept is None:
                again.append(match.receipt)
            else:
                others += _of_the_others(match, kept)
        return others, again

    def _came_back(self, envelope_id: str, said: Mapping[int, Receipt]) -> list[Receipt]:
        kept = self.store.read(envelope_id).envelope
        if kept is None:
            return list(said.values())
        if not _is_over(kept, self.clock.now_ms()):
            decided = self.store.decide(envelope_id, said, What.UNDELIVERED)
            self._send(undelivered_followers(kept, decided, said, self.seals.of(kept.tenant)))
        return []

    def look(self, look: Look) -> None:
        """Decide on those messages of an envelope that were left when their time is over.

        Raises: NotQueuedError; LostError; what the store and the stream raise. All of it may be repeated.
        """
        now = self.clock.now_ms()
        if now < look.due_at:
            self.looks.look(look, now)
            return
        found = self.store.read(look.look)
        if found.envelope is None:
            logger.warning("nothing is kept of an envelope whose time is over", envelope=look.look)
            return
        decided = dict(found.decisions)
        if found.open and not _is_over(found.envelope, now):
            decided |= self.store.decide(look.look, found.open, What.LATE)
        self._send(late_followers(found.envelope, decided, self.seals.of(found.envelope.tenant)))

    def _send(self, found: Sequence[Follower]) -> None:
        if not found:
            return
        if self.queues.send([Dispatch(each.envelope, each.envelope.to_json()) for each in found]):
            raise NotQueuedError("messages that take the place of others")
        self.stream.put([record for each in found for record in each.records])


def _of_the_others(match: Matched, kept: Envelope) -> Iterator[Matched]:
    number = Numbering(kept.root)
    for recipient in kept.recipients:
        message_id = number(recipient.index) + recipient.tag
        if message_id != match.message_id:
            masked = mask(kept.channel.value, recipient.address)
            event = replace(match.event, masked_address=masked, reference=recipient.reference, accepted=None)
            yield replace(match, message_id=message_id, event=event)


def _is_over(envelope: Envelope, now: int) -> bool:
    """Whether the time to live of all is over."""
    return envelope.ends_at is not None and now >= envelope.ends_at


def _sorted_out(matches: Sequence[Matched]) -> tuple[dict[str, set[int]], dict[str, dict[int, Receipt]]]:
    """By the ids of envelopes that wait: who needs no other message, and whose message came back."""
    arrived: dict[str, set[int]] = defaultdict(set)
    back: dict[str, dict[int, Receipt]] = defaultdict(dict)
    for match in matches:
        event = match.event
        if event.awaits is None or event.envelope is None:
            continue
        follow = follows(event.awaits.until, match.receipt, MessageClass(event.message_class))
        if follow is not None:
            i = ulid_value(match.message_id[:ULID_LENGTH]) - ulid_value(root_of(event.envelope))
            if follow:
                back[event.envelope].setdefault(i, match.receipt)
            else:
                arrived[event.envelope].add(i)
    return arrived, back
