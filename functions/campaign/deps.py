"""Wires the campaign function."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

from functions.campaign.check.checking import Checker
from functions.campaign.check.comparing import Comparer
from functions.campaign.check.estimating import Estimator
from functions.campaign.file.planning import Planner
from functions.campaign.function import CampaignSettings
from functions.campaign.run.driving import Driver
from functions.campaign.run.releasing import Releasing
from functions.campaign.run.reporting import Reporter
from functions.campaign.run.starting import Starter
from functions.campaign.run.tasks import Steps, Worker
from functions.campaign.send.expanding import Expander
from functions.campaign.send.judges import Judges
from functions.campaign.send.pacing import Pacer
from functions.campaign.send.sending import Sending
from shared.aws.audiences import AudienceFiles
from shared.aws.clients import client
from shared.aws.clock import service_clock
from shared.aws.queue import Queues
from shared.aws.runfiles import RunFiles
from shared.aws.schedules import Schedules
from shared.aws.stream import EventStream
from shared.aws.tasks import Tasks
from shared.model.clock import Clock
from shared.store.campaigns import Campaigns
from shared.store.catalog import Catalog
from shared.store.counters import Counters
from shared.store.parking import Parking
from shared.store.rates import Rates
from shared.store.shards import Shards
from shared.store.suppressions import Suppressions

QUEUE_THREADS = 8
"""For requests to the queues, side by side."""
FILE_THREADS = 16
"""For requests to the bucket, one per shard and part of it."""


@cache
def deps() -> Worker:
    """The function's worker, built on first use and kept with its connections."""
    settings, dynamodb = CampaignSettings.load(), client("dynamodb")
    clock = service_clock(settings.catalog_table)
    s3 = partial(client, "s3")
    catalog = Catalog(dynamodb, settings.catalog_table, clock)
    campaigns = Campaigns(dynamodb, settings.catalog_table, clock)
    shards = Shards(dynamodb, settings.guard_table, clock)
    queues = _queues(settings, clock)
    tasks = Tasks(client("sqs"), settings.campaigns_url)
    files = RunFiles(settings.assets_bucket, s3)
    judges = Judges(catalog, clock)
    checker = Checker(files, Suppressions(dynamodb, settings.catalog_table, clock), judges.checking)
    comparer = Comparer(files, shards, ThreadPoolExecutor(FILE_THREADS, "file"))
    starter = Starter(campaigns, catalog, AudienceFiles(settings.assets_bucket, s3), tasks, clock)
    reporter = Reporter(Counters(dynamodb, settings.counters_table), shards)
    sending = Sending(
        campaigns,
        shards,
        Expander(files, judges.sending, judges.packer, comparer.repeated_rows, checker.refused_rows),
        Pacer(Rates(dynamodb, settings.guard_table, clock), catalog, clock),
        queues,
        EventStream(client("kinesis"), settings.stream_name),
        tasks,
        clock,
        ThreadPoolExecutor(QUEUE_THREADS, "queue"),
    )
    steps = Steps(
        starter,
        Planner(files, shards),
        checker,
        comparer,
        Estimator(catalog),
        sending,
        Releasing(campaigns, Parking(dynamodb, settings.guard_table, clock), queues, tasks),
        Driver(campaigns, shards, starter, reporter, tasks, clock),
    )
    return Worker(steps, campaigns, shards, tasks, clock)


def _queues(settings: CampaignSettings, clock: Clock) -> Queues:
    group, role, dead = settings.schedule_group, settings.schedule_role_arn, settings.schedule_dlq_arn
    return Queues(client("sqs"), settings.queue_urls, Schedules(client("scheduler"), group, role, dead), clock)
