"""The dispatcher: one for all channels. Takes a batch of queue messages through decide, acquire, send and tail."""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.acceptance.addresses import Seals
from shared.aws.queue import DeadLetters, Dispatch
from shared.aws.stream import EventStream
from shared.base.logs import log_error
from shared.base.shared_reads import SharedReads
from shared.dispatch.outlet import Outlet
from shared.dispatch.runs import Runs
from shared.dispatch.together import Together
from shared.dispatch.waves import Waves, Work
from shared.lifecycle.awaiting import Keeping
from shared.lifecycle.tail import Tail, tail
from shared.model.envelope import Envelope, read_envelope
from shared.model.events import EventRow
from shared.model.wire import UnreadableError
from shared.model.words import Channel
from shared.policy.veiling import veiled_envelope
from shared.store.ledger import HeldError
from shared.store.veils import VeilStore

logger = Logger(child=True)
A = TypeVar("A")
B = TypeVar("B")


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


class Received(Struct, frozen=True):
    """A queue message and the envelope in it."""

    message_id: str
    envelope: Envelope


class Dispatcher:
    """Dispatches envelopes of one channel.

    Envelopes are worked off side by side (`waves.py`); then comes the tail of the batch (what is held, retries, dead
    letters, events), which follows from what the ledger recorded and may be repeated at will. Only then is a message
    acknowledged.

    pool: for envelopes; not the sender's pool for calls, on which these wait.
    """

    def __init__(
        self,
        channel: Channel,
        waves: Waves,
        runs: Runs,
        outlet: Outlet,
        dead_letters: DeadLetters,
        stream: EventStream,
        pool: Executor,
        seals: Seals,
        keeping: Keeping,
        veils: VeilStore,
    ) -> None:
        self._channel = channel
        self._waves = waves
        self._runs = runs
        self._outlet = outlet
        self._dead_letters = dead_letters
        self._stream = stream
        self._pool = pool
        self._seals = seals
        self._keeping = keeping
        self._veils = veils

    def run(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        """Work on one SQS batch; returns the partial batch response."""
        failed: set[str] = set()
        received = []
        for record in event["Records"]:
            envelope = self._read(record["body"])
            if envelope is None:
                failed.add(record["messageId"])
            else:
                received.append(Received(record["messageId"], envelope))
        try:
            failed |= self._work(received, lambda: context.get_remaining_time_in_millis() / 1000)
        except Exception as error:  # of any kind: the queue must hear of it
            # Nothing of the batch is acknowledged: what was recorded is not sent again when it comes back.
            log_error(logger, "batch handed back to the queue", error)
            failed |= {r.message_id for r in received}
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in sorted(failed)]}

    def _read(self, body: str) -> Envelope | None:
        try:
            envelope = read_envelope(body)
        except UnreadableError as error:
            logger.error("malformed envelope", field=error.field)
            return None
        if envelope.channel is not self._channel:
            logger.error("envelope of another channel", envelope=envelope.id)
            return None
        return envelope

    def _work(self, received: list[Received], remaining_s: Callable[[], float]) -> set[str]:
        # One message may stand twice in a batch: at-least-once delivery promises nothing else.
        distinct = {r.envelope.id: self._veiled(r.envelope) for r in received}
        rows = self._send(list(distinct.values()), remaining_s)
        undone = self._finish([self._tail(distinct[id], found) for id, found in rows.items()])
        return {r.message_id for r in received if r.envelope.id not in rows or r.envelope.id in undone}

    def _tail(self, envelope: Envelope, rows: list[EventRow]) -> Tail:
        return tail(envelope, rows, self._seals.of(envelope.tenant))

    def _veiled(self, envelope: Envelope) -> Envelope:
        """An envelope without those whose data were erased while it waited. Raises: what the table raises."""
        veils = self._veils.of(envelope.tenant, envelope.id)
        return veiled_envelope(envelope, veils) if veils else envelope

    def _send(self, envelopes: list[Envelope], remaining_s: Callable[[], float]) -> dict[str, list[EventRow]]:
        """Work envelopes off side by side; one that raises is left out and comes back."""
        reads = SharedReads()

        def decide(envelope: Envelope) -> Work | None:
            return self._guarded(envelope.id, lambda: self._waves.decide(envelope, reads, remaining_s))

        def go_on(decided: Mapping[str, Work]) -> dict[str, list[EventRow]]:
            works = self._waves.pace(decided, remaining_s)
            seen = self._waves.acquire(list(works.values()))

            def send(work: Work) -> list[EventRow]:
                found = seen[work.id] if work.id in seen else self._waves.insist(work, remaining_s)
                return self._waves.send(work, found, remaining_s)

            return self._each(send, works)

        by_id = {envelope.id: envelope for envelope in envelopes}
        if len(by_id) > 1:
            return Together(self._pool, decide, go_on).run(by_id)
        return go_on({id: work for id, each in by_id.items() if (work := decide(each)) is not None})

    def _each(self, call: Callable[[A], B], arguments: Mapping[str, A]) -> dict[str, B]:
        """The results by envelope id, without those that raised."""

        def one(id: str) -> B | None:
            return self._guarded(id, lambda: call(arguments[id]))

        run = map if len(arguments) < 2 else self._pool.map
        results = zip(arguments, run(one, arguments), strict=True)
        return {id: result for id, result in results if result is not None}

    def _guarded(self, envelope_id: str, call: Callable[[], B]) -> B | None:
        """What comes of an envelope; None if that raised."""
        try:
            return call()
        except HeldError:
            logger.info("envelope is worked on elsewhere", envelope=envelope_id)
        except Exception as error:  # of any kind: one envelope must not sink the others
            log_error(logger, "envelope handed back to the queue", error, envelope=envelope_id)
        return None

    def _finish(self, tails: list[Tail]) -> set[str]:
        """Carry out tails; returns the ids of envelopes whose tail must be repeated."""
        released, undone = self._park([(t.record.envelope, e) for t in tails for e in t.parked])
        dispatches = [(t.record.envelope, d) for t in tails for d in t.dispatches] + released
        left = self._outlet.send([d for _, d in dispatches])
        parents = {d.envelope.id: parent for parent, d in dispatches}
        undone |= {parents[id] for id in left.failed}
        dead = [(t.record.envelope, t.dead) for t in tails if t.dead is not None]
        dead += [(parents[id], t.dead) for id, t in left.ended if t.dead is not None]
        failed = self._dead_letters.send([e for _, e in dead])
        undone |= {parent for parent, e in dead if e.id in failed}
        named = [*((t.record.envelope, t) for t in tails), *((parents[id], t) for id, t in left.ended)]
        undone |= self._keeping.keep([(parent, t.awaited) for parent, t in named if t.awaited is not None])
        self._stream.put([record for _, t in named for record in t.records])
        return undone

    def _park(self, parked: list[tuple[str, Envelope]]) -> tuple[list[tuple[str, Dispatch]], set[str]]:
        """Hold envelopes, each with its parent: those that are to be queued all the same, and the parents of those
        that could not be held."""
        if not parked:
            return [], set()
        going_on, failed = self._runs.park([e for _, e in parked])
        released = [(parent, Dispatch(e, e.to_json())) for parent, e in parked if e.id in going_on]
        return released, {parent for parent, e in parked if e.id in failed}
