"""Wires the campaign function."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

from functions.campaign.check.checking import Checker
from functions.campaign.check.comparing import Comparer
from functions.campaign.check.estimating import Estimator
from functions.campaign.file.planning import Planner
from functions.campaign.follow.picking import Picker
from functions.campaign.follow.sorting import Sorter
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
from shared.wiring.parts import Parts

QUEUE_THREADS = 8
"""For requests to the queues, side by side."""
EVENT_THREADS = 8
"""For requests to the timeline, a hundred events each."""
FILE_THREADS = 16
"""For requests to the bucket, one per shard and part of it."""


@cache
def deps() -> Worker:
    """The function's worker, built on first use and kept with its connections."""
    parts = Parts(CampaignSettings.load())
    judges = Judges(parts.catalog, parts.clock)
    checker = Checker(parts.run_files, parts.suppressions, judges.checking)
    comparer = Comparer(parts.run_files, parts.shards, ThreadPoolExecutor(FILE_THREADS, "file"))
    starter = Starter(parts.campaigns, parts.catalog, parts.audiences, parts.tasks, parts.clock)
    reporter = Reporter(parts.counters, parts.shards)
    sending = Sending(
        parts.campaigns,
        parts.shards,
        Expander(parts.run_files, judges.sending, judges.packer, comparer.repeated_rows, checker.refused_rows),
        Pacer(parts.rates, parts.catalog, parts.clock),
        parts.queues,
        parts.stream,
        parts.tasks,
        parts.clock,
        ThreadPoolExecutor(QUEUE_THREADS, "queue"),
    )
    steps = Steps(
        starter,
        Planner(parts.run_files, parts.shards),
        Picker(
            parts.campaigns,
            parts.shards,
            parts.run_files,
            Sorter(parts.timeline, parts.counters, ThreadPoolExecutor(EVENT_THREADS, "event"), parts.clock),
            judges.sending,
            comparer.repeated_rows,
            checker.refused_rows,
        ),
        checker,
        comparer,
        Estimator(parts.catalog),
        sending,
        Releasing(parts.campaigns, parts.parking, parts.queues, parts.tasks),
        Driver(parts.campaigns, parts.shards, starter, reporter, parts.tasks, parts.clock),
    )
    return Worker(steps, parts.campaigns, parts.shards, parts.tasks, parts.clock)
