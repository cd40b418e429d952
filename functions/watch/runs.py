"""Keeps the runs of campaigns going: each that is not over gets a look of its driver, however that came to stop."""

from dataclasses import dataclass

from shared.aws.tasks import Tasks
from shared.model.runs import RunState
from shared.model.tasks import DriveTask
from shared.store.campaigns import Campaigns

_STILL = frozenset({RunState.PAUSED, RunState.AWAITING_APPROVAL})
"""Nothing goes on by itself in these: whoever changes them sets the driver going."""


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """Sets drivers going. A driver that is at it already drops the look, since it is the second of its number."""

    campaigns: Campaigns
    tasks: Tasks

    def drive(self, tenant: str) -> None:
        """Have a tenant's runs looked at that are not over. Raises: TaskError; what the table raises."""
        found = (self.campaigns.load_run(tenant, id) for id in self.campaigns.open_runs(tenant))
        runs = [stored.value for stored in found if stored is not None and stored.value.state not in _STILL]
        self.tasks.send([DriveTask(tenant=tenant, run=run.id, tick=run.tick) for run in runs])
