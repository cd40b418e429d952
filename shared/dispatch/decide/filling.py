"""Fills a template in for the recipients of one envelope, for as long as an envelope may take."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shared.acceptance.sendable import Unfit, fill
from shared.dispatch.plan import Rendered
from shared.lifecycle.verdict import failed
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.ids import Numbering
from shared.model.origin import origin_of
from shared.providers.base import Outgoing
from shared.rendering.render import Compiled

FILLING_S = 1.0
"""Processor time of one envelope; each recipient's own is bounded by what one rendering may spend."""


class Filling:
    """Fills one content in for one envelope.

    Who is not reached in time gets neither row nor message: a continuation carries them on, behind what waits in the
    queue. At least one recipient is reached each time. spent: processor time of this thread; gone_by: a time that goes
    by no slower; both in seconds. secret: variables that are in no envelope.
    """

    def __init__(
        self,
        envelope: Envelope,
        compiled: Compiled,
        clock: Clock,
        secret: Mapping[str, Any] = MappingProxyType({}),
        spent: Callable[[], float] = time.thread_time,
        gone_by: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._envelope = envelope
        self._origin = origin_of(envelope)
        self._compiled = compiled
        self._shared = {**envelope.variables, **secret} if secret else envelope.variables
        self._clock = clock
        self._spent = spent
        self._gone_by = gone_by
        self._until = spent() + FILLING_S
        self._look_at = gone_by() + FILLING_S

    def fill(
        self, recipients: Sequence[EnvelopeRecipient], words: Sequence[str] = ()
    ) -> tuple[list[Rendered], list[EventRow]]:
        """The messages of recipients, and the rows of those for whom there can be none.

        words: those that no message may hold.
        """
        envelope, number = self._envelope, Numbering(self._envelope.root)
        pairs: list[Rendered] = []
        rows: list[EventRow] = []
        for position, recipient in enumerate(recipients):
            if position and self._is_late():
                break
            found = fill(self._compiled, self._shared, recipient.variables, words)
            if isinstance(found, Unfit):
                rows.append(failed(envelope, recipient, found.reason, found.found, self._clock.now_ms()))
                continue
            message_id = number(recipient.index) + recipient.tag
            pairs.append(
                (recipient, Outgoing(message_id, recipient.address, found, self._origin, envelope.proof is not None))
            )
        return pairs, rows

    def _is_late(self) -> bool:
        # Processor time is ten times as dear to ask for, and it cannot be over before as much time has gone by.
        now = self._gone_by()
        if now < self._look_at:
            return False
        left = self._until - self._spent()
        self._look_at = now + left
        return left < 0
