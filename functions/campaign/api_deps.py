"""Wires the API of campaigns."""

from functools import cache

from functions.campaign.function import CampaignApiSettings
from functions.campaign.operations.campaigns import CampaignOperations
from functions.campaign.operations.runs import RunOperations
from functions.campaign.operations.sampling import Sampler
from functions.campaign.operations.schedules import Follower
from functions.campaign.operations.trials import Testing
from functions.campaign.operations.uploads import Uploading
from functions.campaign.run.reporting import Reporter
from functions.campaign.run.starting import Starter
from shared.acceptance.addresses import Seals
from shared.api.kit import Api
from shared.wiring.parts import Parts


@cache
def deps() -> Api:
    """The API, built on first use."""
    parts = Parts(CampaignApiSettings.load())
    catalog, campaigns, clock = parts.catalog, parts.campaigns, parts.clock
    starter = Starter(campaigns, catalog, parts.audiences, parts.tasks, clock)
    reporter = Reporter(parts.counters, parts.shards)
    own = (
        Uploading(parts.audiences, clock),
        CampaignOperations(catalog, campaigns, Follower(campaigns, parts.campaign_schedules), clock),
        RunOperations(catalog, campaigns, parts.shards, starter, reporter, parts.tasks, parts.run_files, clock),
        Testing(
            catalog,
            campaigns,
            Sampler(parts.audiences, parts.run_files, campaigns),
            parts.acceptance,
            clock,
            Seals(catalog),
        ),
    )
    return Api({id: function for each in own for id, function in each.operations().items()})
