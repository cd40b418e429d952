"""The state of a campaign's run: while it is paused its messages are held, and once it is over they end unsent."""

from shared.dispatch.decide.step import Batch, Step, Taken


class RunState(Step):
    """Holds or ends messages of runs that are paused or over; see `shared/dispatch/runs.py`."""

    def take(self, batch: Batch) -> Taken:
        recipients = [candidate.recipient for candidate in batch.candidates]
        rows = self.sources.runs.stopped(batch.envelope, recipients)
        return ([], rows) if rows else (batch.candidates, [])
