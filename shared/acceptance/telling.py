"""What the stream is told of messages that are accepted, and in which order: queued first, then told."""

from collections.abc import Callable, Sequence
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct

from shared.aws.queue import Dispatch
from shared.aws.stream import StreamError
from shared.errors import NotQueuedError
from shared.model.events import EventRow, Seal, StreamRecord, accepted_rows, record_of
from shared.model.reasons import Reason
from shared.model.words import Stage

logger = Logger(child=True)


class Queues(Protocol):
    """Where envelopes are sent; returns the ids of those that could not be."""

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]: ...


class Stream(Protocol):
    """Where events are told. Raises: StreamError."""

    def put(self, records: Sequence[StreamRecord]) -> None: ...


class Acceptance(Struct, frozen=True):
    """Carries out what was decided of a request."""

    queues: Queues
    stream: Stream

    def carry_out(
        self, dispatches: Sequence[Dispatch], records: Callable[[set[str]], list[StreamRecord]], again: str
    ) -> set[str]:
        """Queue envelopes, then tell the stream; returns the ids of those that could not be queued.

        records: what to tell, given those ids. again: what the caller can do if nothing could be queued.
        Raises: NotQueuedError if nothing could be.
        """
        failed = self.queues.send(dispatches)
        if len(failed) == len(dispatches):
            raise NotQueuedError(f"No message was accepted. {again}")
        try:
            self.stream.put(records(failed))
        except StreamError:
            # The messages are accepted; the dispatcher states it again, and the trace catches up.
            logger.warning("accepted events not written", request=dispatches[0].envelope.request)
        return failed


def accepted_record(dispatch: Dispatch, seal: Seal | None = None) -> StreamRecord:
    """What is told of an envelope of a request: its messages are accepted, and deferred if they are due later.

    seal: None where addresses are not kept.
    """
    envelope, due_at = dispatch.envelope, dispatch.due_at
    rows = accepted_rows(envelope, seal)
    if due_at is not None:
        at, stage, reason = envelope.accepted_at, Stage.DEFERRED.value, Reason.SCHEDULED.value
        rows += [
            EventRow(index=r.index, tag=r.tag, stage=stage, nth=0, at=at, reason=reason, due_at=due_at)
            for r in envelope.recipients
        ]
    return record_of(envelope, rows)


def accepted_by_run(dispatch: Dispatch) -> StreamRecord:
    """What is told of an envelope of a campaign's run: its messages are accepted, and when they are due.

    Addresses are left out: dispatch tells them, masked, with what became of each message.
    """
    envelope, due_at = dispatch.envelope, dispatch.due_at
    at, stage = envelope.accepted_at, Stage.ACCEPTED.value
    rows = [
        EventRow(index=r.index, tag=r.tag, stage=stage, nth=0, at=at, due_at=due_at, reference=r.reference)
        for r in envelope.recipients
    ]
    return record_of(envelope, rows)
