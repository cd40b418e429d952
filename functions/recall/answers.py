"""What a caller is told about each message that was to be recalled."""

from collections.abc import Sequence
from datetime import UTC, datetime

from functions.recall.stopping import End
from functions.recall.withdrawing import Found, Shared, Unasked
from shared.api.recall import Before, MessageRecall, RecallResult
from shared.model.events import Facts, deciding_event
from shared.model.outcome import Retry, Unknown, Withdrawn
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.words import Stage

_DONE = {
    RecallResult.RECALLED: "It is not sent.",
    RecallResult.WITHDRAWN: "It had been sent, and the provider took it back.",
    RecallResult.UNKNOWN: "It is not tried any more, but an earlier try may have come through.",
}
_TOO_LATE = {
    Stage.SENT: "It had been sent, and is not taken back.",
    Stage.REJECTED: "It was never accepted.",
    Stage.DEAD_LETTERED: "It had been given up: discard its dead letter, so that nobody sends it again.",
}


def from_events(message_id: str, events: Sequence[Facts]) -> MessageRecall:
    """The answer about a message that has come to its end, as its timeline says."""
    event, _ = deciding_event(events)
    retried = event.account is not None or any(e.stage == Stage.RETRYING for e in events)
    return _answer(message_id, event, retried, any(_put_off(e, event.at) for e in events))


def from_end(message_id: str, end: End, withdrawal: Found | None) -> MessageRecall:
    """The answer about a message that has come to its end, as a ledger says. withdrawal: what its provider said."""
    deferred = end.leg.parked or end.leg.due_at > end.row.at
    answer = _answer(message_id, end.row, end.row.account is not None or end.leg.attempt > 0, deferred)
    match withdrawal:
        case None:
            return answer
        case Withdrawn():
            done = RecallResult.WITHDRAWN
            return answer.model_copy(update={"result": done, "status": Stage.WITHDRAWN, "detail": _DONE[done]})
        case Shared(others):
            detail = f"It was sent in one piece with {others} more: recall the whole request."
        case Unasked():
            detail = "There was no time left to ask the provider. Ask again."
            return answer.model_copy(update={"result": RecallResult.IN_PROGRESS, "detail": detail})
        case Retry() | Unknown():
            why = EXPLANATIONS[withdrawal.reason][0]
            detail = f"The provider has not taken it back yet. {why} Ask again."
            return answer.model_copy(update={"result": RecallResult.IN_PROGRESS, "detail": detail})
        case refused:
            code = f" ({refused.raw_code})" if refused.raw_code else ""
            detail = f"It had been sent. {EXPLANATIONS[refused.reason][0]}{code}"
    return answer.model_copy(update={"detail": detail})


def in_progress(message_id: str) -> MessageRecall:
    """The answer about a message of which the end is not known yet."""
    detail = "A provider is being asked just now, or it was accepted this moment. Ask again in some seconds."
    return MessageRecall(message_id=message_id, result=RecallResult.IN_PROGRESS, detail=detail)


def lost(message_id: str) -> MessageRecall:
    """The answer about a message whose records are gone."""
    detail = "It was due so long ago that it is not known any more whether it was sent. Nothing of it is sent now."
    return MessageRecall(message_id=message_id, result=RecallResult.UNKNOWN, detail=detail)


def _put_off(event: Facts, at: int) -> bool:
    """Whether a message was to wait beyond a time. A campaign's may be accepted for later."""
    if event.due_at is not None:
        return event.stage in (Stage.ACCEPTED, Stage.DEFERRED) and event.due_at > at
    # Who is held while a run is paused has no time.
    return event.stage == Stage.DEFERRED


def _answer(message_id: str, event: Facts, retried: bool, deferred: bool) -> MessageRecall:
    stage, at = Stage(event.stage), event.at
    result = _result(stage, event.reason)
    before = None
    if result is RecallResult.RECALLED:
        before = Before.RETRYING if retried else Before.DEFERRED if deferred else Before.QUEUED
    detail = _DONE.get(result) or _TOO_LATE.get(stage, f"It had come to its end before: {stage}.")
    when = datetime.fromtimestamp(at / 1000, UTC)
    return MessageRecall(message_id=message_id, result=result, before=before, status=stage, at=when, detail=detail)


def _result(stage: Stage, why: str | None) -> RecallResult:
    if stage is Stage.RECALLED:
        return RecallResult.RECALLED
    if stage is Stage.WITHDRAWN:
        return RecallResult.WITHDRAWN
    return RecallResult.UNKNOWN if why == Reason.RECALLED else RecallResult.TOO_LATE
