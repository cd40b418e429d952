"""Where envelopes leave for their queues. One that is too large for where it has to wait ends here, for people to see.

It is settled as if its queue had given it up: its recipients are dead letters with reason `too_large`, or fall back.
"""

from collections.abc import Sequence
from typing import Protocol

from aws_lambda_powertools import Logger
from msgspec import Struct, field

from shared.aws.errors import AWS_ERRORS
from shared.aws.queue import Dispatch
from shared.base.logs import log_error
from shared.lifecycle.held import Releases
from shared.lifecycle.settle import Ledger, settle
from shared.lifecycle.tail import Tail
from shared.model.clock import Clock
from shared.model.envelope import Envelope
from shared.model.reasons import Reason

logger = Logger(child=True)


class Queues(Protocol):
    """Where envelopes are sent; both return ids: of those that could not be, and of those that never can be."""

    def send(self, dispatches: Sequence[Dispatch]) -> set[str]: ...

    def too_large(self, dispatches: Sequence[Dispatch]) -> set[str]: ...


class Left(Struct):
    """What became of envelopes."""

    failed: set[str] = field(default_factory=set)
    """The ids of those that are to be sent again, or settled again."""
    ended: list[tuple[str, Tail]] = field(default_factory=list)
    """By the ids of those that came to their end, what follows; its dispatches are sent already."""


class Outlet(Struct, frozen=True):
    """Sends envelopes to their queues."""

    queues: Queues
    ledger: Ledger
    releases: Releases
    clock: Clock

    def send(self, dispatches: Sequence[Dispatch]) -> Left:
        """Send envelopes; doing it again changes nothing. Whose consequences cannot be sent has failed as well."""
        if not dispatches:
            return Left()
        beyond = self.queues.too_large(dispatches)
        left = Left(self.queues.send([d for d in dispatches if d.envelope.id not in beyond]))
        for dispatch in dispatches:
            if dispatch.envelope.id in beyond:
                self._end(dispatch.envelope, left)
        return left

    def _end(self, envelope: Envelope, left: Left) -> None:
        logger.error("envelope too large for its queue", envelope=envelope.id)
        try:
            ended = settle(envelope, self.ledger, self.clock, Reason.TOO_LARGE)
            # Before its letter can be redriven, which may take what it holds anew.
            self.releases.release(envelope, ended.record.events)
        except AWS_ERRORS as error:
            log_error(logger, "too large envelope not settled", error, envelope=envelope.id)
            left.failed.add(envelope.id)
            return
        # By another channel a message has other variables, and need not wait.
        following = self.send(ended.dispatches)
        left.ended += [(envelope.id, tail) for tail in (ended, *(tail for _, tail in following.ended))]
        if following.failed:
            left.failed.add(envelope.id)
