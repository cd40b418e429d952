"""Redrives and discards dead letters: recorded first, then told and sent, then closed; any step may be repeated.

| step | redrive | discard |
|---|---|---|
| 1. recorded | `kept` to `redriving`, with its time | `kept` to `discarding`, with its time and why |
| 2. carried out | events, then the child on its queue; what nobody could read goes there as it was | events |
| 3. closed | `redriven`, the body deleted | `discarded`, the body deleted |

Step 2 follows from the letter's head and body alone. Who finds a letter between 1 and 3 carries it on.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

from aws_lambda_powertools import Logger

from shared.aws.errors import AWS_ERRORS
from shared.aws.queue import Dispatch
from shared.base.channels import queue_name
from shared.base.logs import log_error
from shared.lifecycle.verdict import row
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.events import EventRow, StreamRecord, record_of
from shared.model.letters import Letter, LetterState, redriven
from shared.model.reasons import Reason
from shared.model.words import Stage
from shared.store.dead_letters import DeadLetterStore

logger = Logger(child=True)
A = TypeVar("A")
B = TypeVar("B")

BATCH = 20
ABANDONED_MS = 120_000
"""After so long nobody can still be at work on what was begun: longer than a function of the API runs."""


class Queues(Protocol):
    """Where envelopes are sent; returns the ids of those that could not be. put_back: a message as it was."""

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]: ...

    def put_back(self, name: str, tenant: str, text: str) -> None: ...


class Stream(Protocol):
    """Where events are told."""

    def put(self, records: Sequence[StreamRecord]) -> None: ...


@dataclass(slots=True)
class Tally:
    """What was done."""

    letters: int = 0
    """`letters` and `recipients`: done as asked."""
    recipients: int = 0
    carried_on: int = 0
    """Letters of which the other thing had been begun before, and was ended."""
    failed: int = 0
    """Letters to be tried again."""
    left: bool = False
    """There is more to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to become of kept letters."""

    state: LetterState
    """REDRIVING or DISCARDING."""
    by: str
    """The id of the key that asks."""
    note: str = ""


class Redriver:
    """Works off dead letters, some at a time; two of these may work on the same ones. pool: for calls of the table."""

    def __init__(
        self, store: DeadLetterStore, queues: Queues, stream: Stream, clock: Clock, pool: Executor | None = None
    ) -> None:
        self._store = store
        self._queues = queues
        self._stream = stream
        self._clock = clock
        self._pool = pool

    def carry_out(self, letters: Iterator[Letter], order: Order, until: int) -> Tally:
        """Redrive or discard kept letters, and carry on others, until none is left or a time (ms) has come.

        Raises: what reading `letters` raises. What fails for single letters is counted.
        """
        tally = Tally()
        while batch := list(islice(letters, BATCH)):
            if self._clock.now_ms() >= until:
                tally.left = True
                break
            self._work(batch, order, tally)
        tally.left = tally.left or tally.failed > 0
        return tally

    def resume(self, until: int) -> Tally:
        """Carry on, for all tenants, what was begun and abandoned, until a time (ms) has come."""
        found = self._store.interrupted(self._clock.now_ms() - ABANDONED_MS)
        return self.carry_out(iter(found), Order(LetterState.KEPT, ""), until)

    def _work(self, batch: Sequence[Letter], order: Order, tally: Tally) -> None:
        begun = [letter for _, letter in self._each(lambda letter: self._begin(letter, order), batch, tally) if letter]
        unread = [letter for letter in begun if letter.reason == Reason.UNREADABLE]
        self._close([letter for letter, there in self._each(self._put_back, unread, tally) if there], order, tally)
        known = [letter for letter in begun if letter.reason != Reason.UNREADABLE]
        pairs = [(letter, body) for letter, body in self._each(self._store.body, known, tally) if body is not None]
        children = {letter.id: redriven(letter, body) for letter, body in pairs if _redrives(letter)}
        if not pairs:
            return
        try:
            # Told before sent, so that no outcome is counted before its redrive.
            self._stream.put([_record(letter, body, children.get(letter.id)) for letter, body in pairs])
        except AWS_ERRORS as error:
            log_error(logger, "dead letters not told", error)
            tally.failed += len(pairs)
            return
        unsent = self._queues.send([Dispatch(child, child.to_json()) for child in children.values()])
        done = [letter for letter, _ in pairs if letter.id not in children or children[letter.id].id not in unsent]
        tally.failed += len(pairs) - len(done)
        self._close(done, order, tally)

    def _close(self, done: Sequence[Letter], order: Order, tally: Tally) -> None:
        for letter, mine in self._each(self._store.finish, done, tally):
            if mine:
                _count(letter, order, tally)

    def _put_back(self, letter: Letter) -> bool:
        """Put what nobody could read back on its queue, if it is to be redriven; whether its letter is done with."""
        text = self._store.text(letter)
        if text is not None and _redrives(letter):
            self._queues.put_back(queue_name(letter.channel, letter.message_class), letter.tenant, text)
        return text is not None

    def _begin(self, letter: Letter, order: Order) -> Letter | None:
        """The letter as it is to be carried on; None if nothing is to be done with it any more."""
        if letter.state is LetterState.KEPT:
            begun = self._store.begin(letter, order.state, self._clock.now_ms(), order.by, order.note)
            if begun is not None:
                return begun
            now = self._store.read(letter)
        else:
            now = letter
        return now if now is not None and now.state in (LetterState.REDRIVING, LetterState.DISCARDING) else None

    def _each(self, call: Callable[[A], B], items: Sequence[A], tally: Tally) -> Iterator[tuple[A, B]]:
        """Each item with the call's result; those for which it raised are counted."""

        def one(item: A) -> tuple[A, B] | None:
            try:
                return item, call(item)
            except Exception as error:  # of any kind: one letter must not keep the others back
                log_error(logger, "dead letter left for another try", error)
                return None

        for found in map(one, items) if self._pool is None else self._pool.map(one, items):
            if found is None:
                tally.failed += 1
            else:
                yield found


def _redrives(letter: Letter) -> bool:
    return letter.state is LetterState.REDRIVING


def _count(letter: Letter, order: Order, tally: Tally) -> None:
    if letter.state is order.state:
        tally.letters += 1
        tally.recipients += letter.recipients
    else:
        tally.carried_on += 1


def _record(letter: Letter, body: Envelope, child: Envelope | None) -> StreamRecord:
    if child is not None:
        return record_of(child, [row(child, r, Stage.REDRIVEN, letter.changed_at) for r in child.recipients])
    rows: list[EventRow] = []
    for recipient in body.recipients:
        discarded = row(body, recipient, Stage.DISCARDED, letter.changed_at)
        discarded.reason, discarded.note = letter.reason, letter.note
        rows.append(discarded)
    return record_of(body, rows)
