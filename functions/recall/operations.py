"""The operations that recall messages."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from functions.recall.answers import from_end, from_events, in_progress, lost
from functions.recall.stopping import Stopped, Stopper
from functions.recall.withdrawing import (
    RECALLING_CHANNELS,
    Found,
    Withdrawer,
    can_be_withdrawn,
    withdrawn_row,
)
from shared.api.kit import Call, OperationFunction
from shared.api.lookup import named_message, named_request
from shared.api.recall import MessageRecall, Recall, RunRecall, RunRecallQuery
from shared.aws.stream import EventStream, StreamError
from shared.base.logs import log_error
from shared.errors import ConflictError, NotRecordedError, forbidden, invalid_field, not_found
from shared.model.clock import Clock
from shared.model.events import StreamRecord, fold
from shared.model.ids import Tagger, tag_of
from shared.model.outcome import Withdrawn
from shared.model.runs import Run
from shared.model.words import KeyKind, Stage
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.kept_events import KeptEvent
from shared.store.timeline import Timeline

logger = Logger(child=True)

RUN_PAGE = 5
"""Envelopes of a run whose messages are recalled by one call."""
WORK_MS = 20_000
"""For how long providers are asked; a caller's connection ends after 30 s."""


_CURSOR = re.compile(r"(\d{1,6})-(\d{1,7})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Recalling:
    """Recalls messages of a caller's tenant."""

    timeline: Timeline
    stopper: Stopper
    withdrawer: Withdrawer
    stream: EventStream
    clock: Clock
    campaigns: Campaigns
    catalog: Catalog

    def operations(self) -> dict[str, OperationFunction]:
        """Operation id -> function."""
        return {
            "recall_message": self.recall_message,
            "recall_request": self.recall_request,
            "recall_run": self.recall_run,
        }

    def recall_message(self, call: Call) -> Recall:
        """Recall one message. Raises: ForbiddenError, NotFoundError."""
        message_id, events = named_message(call, self.timeline)
        return self._recall(call, events[0].request, {message_id: events})

    def recall_request(self, call: Call) -> Recall:
        """Recall all messages of a request. Raises: ForbiddenError, NotFoundError."""
        request_id, ids = named_request(call, self.timeline)
        events = self.timeline.events_of_many(call.caller.tenant, ids)
        return self._recall(call, request_id, dict(zip(ids, events, strict=True)))

    def recall_run(self, call: Call) -> RunRecall:
        """Recall some of a run's messages, from a cursor on.

        Raises: ForbiddenError, NotFoundError, ConflictError, InvalidError.
        """
        query: RunRecallQuery = call.query
        run = self._run(call)
        shard, envelope = _position(query.cursor)
        while shard < (run.planned or 0):
            request_id = run.shard_base(shard)
            (accepted,) = self.timeline.accepted_of_many(call.caller.tenant, [request_id])
            # What one call of a provider carries is of one envelope, and is taken back as a whole.
            envelopes = [each.ids for each in accepted.values()][envelope : envelope + RUN_PAGE]
            if not envelopes:
                shard, envelope = shard + 1, 0
                continue
            ids = [id for each in envelopes for id in each]
            events = self.timeline.events_of_many(call.caller.tenant, ids)
            found = self._recall(call, request_id, dict(zip(ids, events, strict=True)))
            cursor = f"{shard}-{envelope + RUN_PAGE}"
            return RunRecall(run=run.id, counts=found.counts, messages=found.messages, cursor=cursor)
        return RunRecall(run=run.id, counts={}, messages=[])

    def _run(self, call: Call) -> Run:
        """The run that a call names, if there is anything to take back.

        Raises: ForbiddenError, NotFoundError, ConflictError.
        """
        stored = self.campaigns.load_run(call.caller.tenant, call.path["id"])
        if stored is None:
            raise not_found("run")
        run = stored.value
        call.require(run.kind, "run")
        if run.channel not in RECALLING_CHANNELS:
            raise ConflictError(
                f"No provider takes {run.channel} back once it is sent. Cancel the run: that recalls the rest."
            )
        if not run.over:
            raise ConflictError("The run goes on. Cancel it first: that recalls what is not sent.")
        return run

    def _recall(self, call: Call, request_id: str, known: Mapping[str, list[KeptEvent]]) -> Recall:
        """Recall messages of one request. known: their events, by message id."""
        self._check_reach(call, known)
        until = self.clock.now_ms() + WORK_MS
        answers = {id: from_events(id, events) for id, events in known.items() if _is_over(events)}
        # Of a message that fell back, or still may, the other one is to be stopped.
        wanted = {
            id for id, events in known.items() if id not in answers or any(e.fell_back_to or e.awaits for e in events)
        }
        if wanted:
            found = self.stopper.stop(call.caller.tenant, [request_id], wanted, call.caller.key_id)
            self._tell_stopped(found.records)
            ends = {id: end for id, end in found.ends.items() if id not in answers}
            withdrawn = self.withdrawer.withdraw(ends, known.keys() | found.reached, until)
            self._tell_withdrawn(found, withdrawn, call.caller.key_id)
            left = (known.keys() | found.reached) - answers.keys()
            answers |= {id: _answer(id, found, withdrawn.get(id)) for id in left}
        messages = [answers[id] for id in [*known, *sorted(answers.keys() - known.keys())]]
        return Recall(request_id=request_id, counts=Counter(m.result for m in messages), messages=messages)

    def _check_reach(self, call: Call, known: Mapping[str, Sequence[KeptEvent]]) -> None:
        """Raises: ForbiddenError where the key does not reach messages, by their kind or, a team key, by its list."""
        for kind in {KeyKind(event.kind) for events in known.values() for event in events}:
            call.require(kind, "message")
        caller = call.caller
        listed, tenant = self.catalog.fresh.team(caller.key_id, caller.kind), self.catalog.tenant(caller.tenant)
        if listed is None or tenant is None:
            return
        pairs = (address.split(":", 1) for address in listed)
        tags = {Tagger(tenant.salt, channel)(address) for channel, address in pairs}
        if any(tag_of(message_id) not in tags for message_id in known):
            raise forbidden("A team key recalls messages to the recipients on its list only. Use a live key.")

    def _tell_stopped(self, records: Sequence[StreamRecord]) -> None:
        """Tell what is recalled. It is so without that: whoever has the envelope tells it as well."""
        try:
            if records:
                self.stream.put(records)
        except StreamError as error:
            log_error(logger, "recall not told", error)

    def _tell_withdrawn(self, found: Stopped, withdrawn: Mapping[str, Found], by: str) -> None:
        """Tell what was taken back. Raises: NotRecordedError, since nobody else would; asking again is harmless."""
        now = self.clock.now_ms()
        ends = [found.ends[id] for id, result in withdrawn.items() if isinstance(result, Withdrawn)]
        try:
            if ends:
                self.stream.put([end.leg.root.record(end.leg.id, [withdrawn_row(end, now, by)]) for end in ends])
        except StreamError as error:
            log_error(logger, "withdrawal not told", error)
            raise NotRecordedError("Messages were taken back, and it could not be recorded. Ask again.") from None


def _position(cursor: str | None) -> tuple[int, int]:
    """(shard, envelope of it) of a cursor. Raises: InvalidError."""
    if cursor is None:
        return 0, 0
    found = _CURSOR.match(cursor)
    if found is None:
        raise invalid_field("query.cursor", "give back the cursor of an earlier page as it was")
    return int(found[1]), int(found[2])


def _is_over(events: Sequence[KeptEvent]) -> bool:
    """Whether a message has come to its end, and its provider cannot take it back."""
    if not events:
        return False
    status = fold(events)
    sent = status.state is Stage.SENT and any(can_be_withdrawn(e.channel, e) for e in events)
    return status.final and not sent


def _answer(message_id: str, found: Stopped, withdrawal: Found | None) -> MessageRecall:
    end = found.ends.get(message_id)
    if end is not None:
        return from_end(message_id, end, withdrawal)
    return lost(message_id) if message_id in found.lost else in_progress(message_id)
