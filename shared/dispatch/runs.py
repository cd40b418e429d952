"""How dispatch obeys the state of a campaign's run.

While a run is paused its messages are held: each has a row that says so, and the envelope that carries them on is
parked instead of queued. Once a run is cancelled its messages end unsent. That is looked at before an envelope is
planned and again before each later wave, so what was handed to a provider by then stands. Asking what became of an
earlier try sends nothing, and goes on whatever the run's state is.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from aws_lambda_powertools import Logger

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.dispatch.plan import Plan
from shared.lifecycle.verdict import row
from shared.model.clock import Clock
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.reasons import Reason
from shared.model.run_states import RunState
from shared.model.words import Stage

if TYPE_CHECKING:
    from shared.store.campaigns import Control

logger = Logger(child=True)

_ENDED = frozenset({RunState.CANCELLED, RunState.FAILED, RunState.SKIPPED})
"""States of a run of which nothing more is to be sent. One that is finished may still have retries under way."""


class Controls(Protocol):
    """Where it is read whether messages of a run may go out; seconds old at most, unless it is to be fresh."""

    def control(self, tenant: str, run: str, fresh: bool = False) -> "Control | None": ...


class Parking(Protocol):
    """Where envelopes are held while their run is paused."""

    def put(self, envelopes: Sequence[Envelope]) -> None: ...


class Runs:
    """Looks at the runs of envelopes; shared by threads. Nothing is asked for an envelope that is of no run."""

    def __init__(self, controls: Controls, parking: Parking, clock: Clock) -> None:
        self._controls = controls
        self._parking = parking
        self._clock = clock
        self._lock = Lock()
        self._asking: dict[tuple[str, str], Future[Control | None]] = {}

    def stopped(self, envelope: Envelope, recipients: Sequence[EnvelopeRecipient]) -> list[EventRow]:
        """Rows for recipients that were not sent to, if their run is paused or over; none if it goes on.

        Raises: what the table raises.
        """
        if envelope.run is None or not recipients:
            return []
        control = self._control(envelope.tenant, envelope.run)
        # A run that is not there any more keeps nothing back.
        if control is None or (not _paused(control) and control.state not in _ENDED):
            return []
        now = self._clock.now_ms()
        return [_row(envelope, recipient, control, now) for recipient in recipients]

    def look_again(self, plan: Plan) -> None:
        """Take those out of a plan's calls to whom nothing may be sent any more: they have a row.

        Where there is no answer they have none, and are carried on by a continuation.
        """
        unsent = [recipient for call in plan.calls if call.tried is None for recipient in call.recipients]
        try:
            stopped = self.stopped(plan.envelope, unsent)
        except Exception as error:  # of any kind: what was sent until now must still be recorded
            log_error(logger, "state of a run not known", error, envelope=plan.envelope.id)
        else:
            if not stopped:
                return
            plan.rows += stopped
        plan.calls = deque(call for call in plan.calls if call.tried is not None)

    def park(self, envelopes: Sequence[Envelope]) -> tuple[set[str], set[str]]:
        """Hold envelopes whose runs were paused when their recipients were decided.

        Returns the ids of those whose run is not paused any more, which are to be queued whether they are held or not:
        whoever had the run go on may have emptied the place before they were in it. And the ids of those that could
        not be held.
        """
        by_run: dict[tuple[str, str], list[Envelope]] = defaultdict(list)
        for each in envelopes:
            by_run[each.tenant, each.run or ""].append(each)
        going_on: set[str] = set()
        failed: set[str] = set()
        for (tenant, run), found in by_run.items():
            ids = {each.id for each in found}
            try:
                # A redelivery may come long after the pause.
                held = _paused(self._control(tenant, run))
                if held:
                    self._parking.put(found)
                    held = _paused(self._controls.control(tenant, run, fresh=True))
            except AWS_ERRORS as error:
                log_error(logger, "envelopes could not be held", error, run=run)
                failed |= ids
                continue
            if not held:
                going_on |= ids
        return going_on, failed

    def _control(self, tenant: str, run: str) -> "Control | None":
        """What is known of a run. However many envelopes of it are worked on at once, one of them asks for all."""
        key = tenant, run
        with self._lock:
            asked = self._asking.get(key)
            mine = asked is None
            if asked is None:
                asked = self._asking[key] = Future()
        if mine:
            try:
                asked.set_result(self._controls.control(tenant, run))
            except BaseException as error:  # whatever it is, those who wait get it as well
                asked.set_exception(error)
            finally:
                with self._lock:
                    del self._asking[key]
        return asked.result()


def _paused(control: "Control | None") -> bool:
    return control is not None and control.state is RunState.PAUSED


def _row(envelope: Envelope, recipient: EnvelopeRecipient, control: "Control", now: int) -> EventRow:
    """A recipient that is held, or at its end. A held one has no time at which it is due."""
    if _paused(control):
        result = row(envelope, recipient, Stage.DEFERRED, now, reason=Reason.RUN_PAUSED)
    else:
        result = row(envelope, recipient, Stage.RECALLED, now, reason=Reason.RUN_CANCELLED)
    result.note = control.by
    return result
