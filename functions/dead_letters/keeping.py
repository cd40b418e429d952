"""Takes messages from the dead-letter queues into the table, where they can be looked at and decided on.

A message is either an envelope of given-up recipients, which the dispatcher sent, or an envelope that its queue gave up
and that must be settled first. Every step may be repeated: a message is acknowledged after the last.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from shared.aws.errors import may_pass, received
from shared.base.logs import log_error
from shared.dispatch.outlet import Outlet
from shared.errors import NotQueuedError
from shared.lifecycle.awaiting import Keeping
from shared.lifecycle.held import Releases
from shared.lifecycle.settle import Ledger, settle
from shared.model.clock import Clock
from shared.model.envelope import Envelope, read_envelope
from shared.model.events import StreamRecord
from shared.model.letters import letters_of, unreadable
from shared.model.wire import UnreadableError
from shared.store.dead_letters import DeadLetterStore
from shared.store.ledger import HeldError

logger = Logger(child=True)

_DEAD = re.compile(r"/d\d+$")
_QUEUE = re.compile(r".*-([a-z]+)-([a-z]+)-dlq")
HOPELESS_AFTER = 5
"""So often a message is received before it is kept as it is, if what stands in its way will not pass."""


class Stream(Protocol):
    """Where events are told."""

    def put(self, records: Sequence[StreamRecord]) -> None: ...


@dataclass(slots=True)
class Taken:
    """What became of a batch."""

    letters: int = 0
    """Kept for the first time."""
    failed: list[str] = field(default_factory=list)
    """The ids of messages that come back."""


class Keeper:
    """Keeps the dead letters of batches."""

    def __init__(
        self,
        store: DeadLetterStore,
        ledger: Ledger,
        releases: Releases,
        outlet: Outlet,
        stream: Stream,
        clock: Clock,
        keeping: Keeping,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._releases = releases
        self._outlet = outlet
        self._stream = stream
        self._clock = clock
        self._keeping = keeping

    def run(self, event: dict[str, Any]) -> Taken:
        """Work on one SQS batch."""
        taken = Taken()
        for record in event["Records"]:
            new = self._taken(record)
            if new is None:
                taken.failed.append(record["messageId"])
            else:
                taken.letters += new
        return taken

    def _taken(self, record: dict[str, Any]) -> int | None:
        """Keep what a message holds; how many letters are new, or None if it comes back."""
        id = record["messageId"]
        try:
            return self._take(record["body"])
        except HeldError:
            logger.info("envelope is worked on elsewhere", message_id=id)
            return None
        except UnreadableError as error:
            logger.error("malformed envelope", message_id=id, field=error.field)
        except Exception as error:  # of any kind: what cannot pass is kept as it is
            log_error(logger, "dead letter handed back to its queue", error, message_id=id)
            if may_pass(error) or received(record) < HOPELESS_AFTER:
                return None
        return self._as_it_is(record)

    def _as_it_is(self, record: dict[str, Any]) -> int | None:
        """Keep a message with which nothing can be done, for people to see; a redrive puts it back on its queue."""
        now, queue = self._clock.now_ms(), record["eventSourceARN"].rpartition(":")[2]
        sent_at = int(record.get("attributes", {}).get("SentTimestamp", now))
        try:
            letter = unreadable(record["body"], _name(queue), record["messageId"], sent_at, now)
            return int(self._store.keep(letter, record["body"]))
        except Exception as error:  # of any kind: the message must come back
            log_error(logger, "unreadable message handed back to its queue", error, message_id=record["messageId"])
            return None

    def _take(self, body: str) -> int:
        """Keep what a message holds; how many letters are new."""
        envelope = read_envelope(body)
        if envelope.reasons and _DEAD.search(envelope.id):
            return self._keep(envelope)
        result = settle(envelope, self._ledger, self._clock)
        # Before its letter can be redriven, which may take what it holds anew.
        self._releases.release(envelope, result.record.events)
        left = self._outlet.send(result.dispatches)
        if left.failed:
            raise NotQueuedError
        tails = [result, *(tail for _, tail in left.ended)]
        if self._keeping.keep([(tail.record.envelope, tail.awaited) for tail in tails if tail.awaited is not None]):
            raise NotQueuedError
        new = sum(self._keep(tail.dead) for tail in tails if tail.dead is not None)
        self._stream.put([record for tail in tails for record in tail.records])
        return new

    def _keep(self, dead: Envelope) -> int:
        now = self._clock.now_ms()
        return sum(self._store.keep(letter, body.to_json()) for letter, body in letters_of(dead, now))


def _name(physical: str) -> str:
    """The queue whose dead letters a queue of that name holds, such as `email.marketing`. Raises: ValueError."""
    found = _QUEUE.fullmatch(physical)
    if found is None:
        raise ValueError("no dead-letter queue of channel and class")
    return f"{found[1]}.{found[2]}"
