"""Wires the API of campaigns."""

from functools import cache, partial

from functions.campaign.function import CampaignApiSettings
from functions.campaign.operations.campaigns import CampaignOperations
from functions.campaign.operations.runs import RunOperations
from functions.campaign.operations.sampling import Sampler
from functions.campaign.operations.schedules import Follower
from functions.campaign.operations.trials import Testing
from functions.campaign.operations.uploads import Uploading
from functions.campaign.run.reporting import Reporter
from functions.campaign.run.starting import Starter
from shared.api.kit import Api
from shared.aws.audiences import AudienceFiles
from shared.aws.campaign_schedules import CampaignSchedules
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import Queues
from shared.aws.runfiles import RunFiles
from shared.aws.schedules import Schedules
from shared.aws.stream import EventStream
from shared.aws.tasks import Tasks
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.shards import Shards


@cache
def deps() -> Api:
    """The API, built on first use."""
    settings = CampaignApiSettings.load()
    clock = service_clock(settings.catalog_table)
    dynamodb, scheduler, sqs = client("dynamodb"), client("scheduler"), client("sqs")
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    campaigns = Campaigns(dynamodb, settings.catalog_table, clock)
    shards = Shards(dynamodb, settings.guard_table, clock)
    firing = (settings.schedule_role_arn, settings.schedule_dlq_arn)
    schedules = CampaignSchedules(scheduler, settings.campaigns_group, *firing, settings.campaigns_url, clock)
    queues = Queues(sqs, settings.queue_urls, Schedules(scheduler, settings.schedule_group, *firing), clock)
    # A signature of the older kind names no region, and newer regions refuse it.
    signer = partial(client, "s3", endpoint_url=settings.upload_endpoint, signature_version="s3v4")
    files = AudienceFiles(settings.assets_bucket, partial(client, "s3"), signer)
    objects = RunFiles(settings.assets_bucket, partial(client, "s3"), signer)
    tasks, reporter = Tasks(sqs, settings.campaigns_url), Reporter(Counters(dynamodb, settings.counters_table), shards)
    starter = Starter(campaigns, catalog, files, tasks, clock)
    stream = EventStream(client("kinesis"), settings.stream_name)
    parts = (
        Uploading(files, clock),
        CampaignOperations(catalog, campaigns, Follower(campaigns, schedules), clock),
        RunOperations(catalog, campaigns, shards, starter, reporter, tasks, objects, clock),
        Testing(catalog, campaigns, Sampler(files, objects), queues, stream, clock),
    )
    return Api({id: function for part in parts for id, function in part.operations().items()})
