"""The operations on dead letters: list them, redrive them, discard them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain, islice, product

from shared.api.audit import Auditor
from shared.api.dead_letters import (
    DeadLetterPage,
    DeadLetterQuery,
    DeadLetterTally,
    DeadLetterView,
    DiscardRequest,
    RedriveRequest,
)
from shared.api.kit import Call, OperationFunction
from shared.base.channels import queue_name
from shared.errors import forbidden, invalid_field
from shared.lifecycle.redrive import Order, Redriver
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.given_up import explain_given_up
from shared.model.ids import ulid_value
from shared.model.letters import Letter, LetterState
from shared.model.reasons import Reason
from shared.model.words import Channel, MessageClass
from shared.store.audit import AuditLog
from shared.store.catalog_items import CursorError, from_cursor, to_cursor
from shared.store.dead_letters import OPEN, Choice, DeadLetterStore
from shared.store.keys import KeyStore

WORK_MS = 20_000
"""How long one call works: what is begun then still ends within the API's 30 seconds."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """Reads a caller's dead letters and carries out what people decide of them."""

    store: DeadLetterStore
    redriver: Redriver
    auditor: Auditor
    audit_log: AuditLog
    clock: Clock
    keys: KeyStore

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {
            "list_dead_letters": self.list_letters,
            "redrive_dead_letters": self.redrive,
            "discard_dead_letters": self.discard,
        }

    def list_letters(self, call: Call) -> DeadLetterPage:
        """A page of dead letters. Raises: InvalidError."""
        query: DeadLetterQuery = call.query
        states = OPEN if query.state is None else frozenset({query.state})
        choice = Choice(states, query.template, query.account, query.reason)
        queues = _queues(query.channel, query.message_class)
        beyond = _beyond(query.cursor)
        there = self.store.find(call.caller.tenant, queues, choice, newest_first=True, beyond=beyond)
        letters = (letter for letter in there if call.reaches(letter.kind))
        found = list(islice(letters, query.limit + 1))
        page = found[: query.limit]
        cursor = to_cursor(page[-1].id) if len(found) > query.limit else None
        now = self.clock.now_ms()
        return DeadLetterPage(dead_letters=[_view(letter, now) for letter in page], cursor=cursor)

    def redrive(self, call: Call) -> DeadLetterTally:
        """Send letters anew. Raises: ForbiddenError."""
        return self._carry_out(call, Order(LetterState.REDRIVING, call.caller.key_id))

    def discard(self, call: Call) -> DeadLetterTally:
        """Give letters up for good. Raises: ForbiddenError."""
        request: DiscardRequest = call.body
        return self._carry_out(call, Order(LetterState.DISCARDING, call.caller.key_id, request.note))

    def _carry_out(self, call: Call, order: Order) -> DeadLetterTally:
        letters = self._chosen(call)
        # Before anything is done: of the letters themselves each names who decided on it, and when.
        self.audit_log.add(self.auditor.record(call, "dead-letters", None, call.body))
        tally = self.redriver.carry_out(letters, order, self.clock.now_ms() + WORK_MS)
        return DeadLetterTally(**asdict(tally))

    def _chosen(self, call: Call) -> Iterator[Letter]:
        """The letters that are meant and that the key reaches.

        Raises: ForbiddenError if one is named that it does not reach, or if it reaches none of those meant.
        """
        request: RedriveRequest = call.body
        caller, queues = call.caller, _queues(request.channel, request.message_class)
        choice = Choice(OPEN, request.template, request.account, request.reason)
        listed = self.keys.fresh.team(caller.key_id, caller.kind)
        if request.ids is not None:
            named = list(self.store.named(caller.tenant, queues, request.ids, choice))
            for letter in named:
                self._require(call, letter, listed)
            return iter(named)
        refused: list[Letter] = []
        mine = self._mine(call, self.store.find(caller.tenant, queues, choice), listed, refused)
        first = list(islice(mine, 1))
        if refused and not first:
            self._require(call, refused[0], listed)
        return chain(first, mine)

    def _mine(
        self, call: Call, meant: Iterator[Letter], listed: frozenset[str] | None, refused: list[Letter]
    ) -> Iterator[Letter]:
        """Of some letters those that the key reaches. refused: takes the first one that it does not."""
        for letter in meant:
            if self._reaches(call, letter, listed):
                yield letter
            elif not refused:
                refused.append(letter)

    def _require(self, call: Call, letter: Letter, listed: frozenset[str] | None) -> None:
        """Raises: ForbiddenError for a letter that the key does not reach."""
        call.require(letter.kind, "dead letter")
        if not self._reaches(call, letter, listed):
            raise forbidden("A team key decides on dead letters to the recipients on its list only. Use a live key.")

    def _reaches(self, call: Call, letter: Letter, listed: frozenset[str] | None) -> bool:
        """Whether the key reaches a letter: by its kind and, a team key, all its recipients by the key's list."""
        if not call.reaches(letter.kind) or listed is None:
            return call.reaches(letter.kind)
        if letter.reason == Reason.UNREADABLE:
            # To whom it is nobody knows.
            return False
        body = self.store.body(letter)
        return body is None or all(address in listed for address in _addresses(body))


def _addresses(body: Envelope) -> Iterator[str]:
    """All addresses of a letter, those to which it would fall back too, as `channel:address`."""
    for recipient in body.recipients:
        yield f"{body.channel}:{recipient.address}"
        yield from (f"{channel}:{to}" for channel, (to, _) in recipient.other_addresses.items())


def _queues(channel: Channel | None, message_class: MessageClass | None) -> list[str]:
    channels = Channel if channel is None else (channel,)
    classes = MessageClass if message_class is None else (message_class,)
    return [queue_name(*pair) for pair in product(channels, classes)]


def _beyond(cursor: str | None) -> str | None:
    """Raises: InvalidError."""
    if cursor is None:
        return None
    try:
        id = from_cursor(cursor, "")
        ulid_value(id[:26])
    except (CursorError, ValueError):
        raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
    return id


def _view(letter: Letter, now: int) -> DeadLetterView:
    explanation, action = explain_given_up(letter.reason)
    decided = letter.state is not LetterState.KEPT
    return DeadLetterView(
        id=letter.id,
        state=letter.state,
        channel=letter.channel,
        message_class=letter.message_class,
        template=letter.template,
        version=letter.version,
        account=letter.account or None,
        reason=letter.reason,
        code=letter.code or None,
        explanation=explanation,
        action=action,
        recipients=letter.recipients,
        request_id=letter.request,
        kind=letter.kind,
        generation=letter.generation,
        accepted_at=_time(letter.accepted_at),
        dead_at=_time(letter.dead_at),
        age_seconds=(now - letter.dead_at) // 1000,
        changed_at=_time(letter.changed_at) if decided else None,
        changed_by=letter.by if decided else None,
        note=letter.note or None,
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
