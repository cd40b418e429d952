"""Lists what waits for its time by a schedule: what is due within 15 minutes is on its queue already."""

from concurrent.futures import Executor

from shared.api.deferred import DeferredPage, DeferredQuery, DeferredView
from shared.api.kit import Call, OperationFunction
from shared.aws.schedules import DueSchedules, TokenError, due_at_of, message_of
from shared.errors import invalid_field
from shared.model.envelope import Envelope, read_envelope
from shared.model.wire import UnreadableError


class DeferredReader:
    """Reads the schedules. pool: for several at a time."""

    def __init__(self, schedules: DueSchedules, pool: Executor) -> None:
        self._schedules = schedules
        self._pool = pool

    def operations(self) -> dict[str, OperationFunction]:
        """The operation, by id."""
        return {"list_deferred": self.page}

    def page(self, call: Call) -> DeferredPage:
        """A page of the caller's envelopes that wait, the earliest of the page first. Raises: InvalidError."""
        query: DeferredQuery = call.query
        try:
            names, cursor = self._schedules.page(query.limit, query.cursor)
        except TokenError:
            raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was") from None
        found = [(name, envelope) for name, envelope in zip(names, self._pool.map(self._read, names), strict=True)]
        mine = [
            DeferredView.of(envelope, due_at_of(name))
            for name, envelope in found
            if envelope is not None and envelope.tenant == call.caller.tenant and call.reaches(envelope.kind)
        ]
        return DeferredPage(deferred=sorted(mine, key=lambda view: (view.due_at, view.envelope_id)), cursor=cursor)

    def _read(self, name: str) -> Envelope | None:
        """The envelope that a schedule holds; None when it has fired meanwhile, or holds none."""
        message = message_of(self._schedules.input_of(name) or "")
        if message is None:
            return None
        try:
            return read_envelope(message["MessageBody"])
        except UnreadableError:
            return None
