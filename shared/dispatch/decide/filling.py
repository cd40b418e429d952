"""Fills a template in for the recipients of one envelope, for as long as an envelope may take."""

import time
from collections.abc import Callable, Sequence

from shared.acceptance.sendable import Unfit, fill
from shared.dispatch.plan import Rendered
from shared.lifecycle.verdict import failed
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.ids import Numbering
from shared.providers.base import Outgoing
from shared.rendering.render import Compiled

FILLING_S = 1.0
"""Processor time of one envelope; each recipient's own is bounded by what one rendering may spend."""


class Filling:
    """Fills one content in for one envelope.

    Who is not reached in time gets neither row nor message: a continuation carries them on, behind what waits in the
    queue. At least one recipient is reached each time. spent: processor time of this thread, in seconds.
    """

    def __init__(
        self, envelope: Envelope, compiled: Compiled, clock: Clock, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._envelope = envelope
        self._compiled = compiled
        self._clock = clock
        self._spent = spent
        self._until = spent() + FILLING_S

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
            if position and self._spent() > self._until:
                break
            found = fill(self._compiled, envelope.variables, recipient.variables, words)
            if isinstance(found, Unfit):
                rows.append(failed(envelope, recipient, found.reason, found.found, self._clock.now_ms()))
                continue
            message_id = number(recipient.index) + recipient.tag
            pairs.append((recipient, Outgoing(message_id, recipient.address, found)))
        return pairs, rows
