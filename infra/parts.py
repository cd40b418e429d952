"""The parts that the functions work with, by the names that rights and triggers call them."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs

from infra.archive import Archive
from infra.data import Kept
from infra.erasures import Erasures
from infra.events import Bus
from infra.messaging import Queues, Schedules, TaskQueue, dead_letter_queue
from infra.nag import acknowledge
from infra.receipts import Receipts
from infra.specs import FunctionError
from infra.stage import Stage
from infra.webhooks import Webhooks
from infra.wildcards import Wildcard, wildcard
from infra.wildcards import files as bucket_files
from shared.function import Functions, FunctionSpec
from shared.policy import attachments, files

FILES = {"attachments": attachments.PREFIX, "audiences": files.AUDIENCES, "runs": files.RUNS}
"""The prefixes of the bucket that rights name."""


class Parts:
    """All but the functions themselves, their API and their alarms. kept: what may be in another stack."""

    def __init__(self, stack: Stack, stage: Stage, functions: Functions, kept: Kept) -> None:
        self.stack, self.stage = stack, stage
        self.tables, self.stream, self.bucket = kept.tables, kept.stream, kept.bucket
        self.envelopes = Queues(stack, "Queues", stage=stage, functions=functions)
        self.tasks = TaskQueue(stack, "Campaigns", stage=stage, functions=functions)
        self.schedules = Schedules(stack, "Schedules", stage=stage, queues=self.envelopes, tasks=self.tasks)
        self.trace_dead = dead_letter_queue(stack, "TraceDead", f"{stage.prefix}-trace-dlq")
        acknowledge(self.trace_dead, "SQS3", "the dead-letter queue of an event source mapping")
        self.bus = Bus(stack, "Bus", stage=stage)
        self.receipts = Receipts(stack, "ReceiptsIn", stage=stage, functions=functions)
        self.webhooks = Webhooks(stack, "WebhooksOut", stage=stage, functions=functions)
        self.erasures = Erasures(stack, "ErasuresTo", stage=stage, functions=functions)
        self.archive = None
        if kept.archive is not None:
            self.archive = Archive(stack, "ArchiveStore", stage=stage, bucket=kept.archive, key=kept.key)
        self.queues: dict[str, sqs.Queue] = {
            **{f"queue.{name}": queue for name, queue in self.envelopes.queues.items()},
            **{f"dead.{name}": queue for name, queue in self.envelopes.dead_letters.items()},
            "campaigns.queue": self.tasks.queue,
            "campaigns.dead": self.tasks.dead,
            "events.dead": self.bus.dead,
            "receipts.queue": self.receipts.queue,
            "receipts.dead": self.receipts.dead,
            "webhooks.queue": self.webhooks.queue,
            "webhooks.dead": self.webhooks.dead,
            "erasures.queue": self.erasures.queue,
            "erasures.dead": self.erasures.dead,
            "schedules.dead": self.schedules.dead_letters,
            "trace.dead": self.trace_dead,
            **({} if self.archive is None else {"archive.dead": self.archive.dead}),
        }
        self._arns: dict[str, str | Wildcard] = {
            "table.catalog": self.tables.catalog.table_arn,
            "table.guard": self.tables.guard.table_arn,
            "table.timeline": self.tables.timeline.table_arn,
            "table.counters": self.tables.counters.table_arn,
            **{name: queue.queue_arn for name, queue in self.queues.items()},
            "stream": self.stream.stream_arn,
            "bus": self.bus.arn,
            **({} if self.archive is None else {"archive": self.archive.stream_arn}),
            "schedules.role": self.schedules.role.arn,
            "schedules.messages": self._scheduled(self.schedules.schedule_arns),
            "schedules.campaigns": self._scheduled(self.schedules.campaign_arns),
            "bucket": self.bucket.bucket_arn,
            **{f"bucket.{name}": self._files(prefix) for name, prefix in FILES.items()},
            "secrets": self._secrets("*", "the accounts' secrets"),
            "secrets.webhooks": self._secrets("*/webhook/*", "the webhooks' secrets"),
        }
        self.mappings: dict[str, lambda_.EventSourceMapping] = {}
        self.public_url = ""
        """Of the API, which is made when all functions are there."""

    def add_mapping(self, queue: str, made: lambda_.EventSourceMapping) -> None:
        """Remember what hands a queue's messages to its function; those of envelopes have names.

        Raises: FunctionError if there is one already.
        """
        group, _, name = queue.partition(".")
        if f"mapping.{name}" in self.mappings:
            raise FunctionError(f"{queue}: two functions take its messages")
        if group == "queue":
            self.mappings[f"mapping.{name}"] = made
            self._arns[f"mapping.{name}"] = made.event_source_mapping_arn

    def queue(self, name: str) -> sqs.Queue:
        """A queue of the platform. Raises: FunctionError for an unknown one."""
        if name not in self.queues:
            raise FunctionError(f"no such queue: {name}; there are {', '.join(self.queues)}")
        return self.queues[name]

    def named(self, pattern: str) -> Mapping[str, str | Wildcard]:
        """The resources of a name or pattern, by their names. Raises: FunctionError if there are none."""
        found = {name: arn for name, arn in self._arns.items() if fnmatchcase(name, pattern)}
        if not found:
            raise FunctionError(f"no such part: {pattern}; there are {', '.join(self._arns)}")
        return found

    def seen(self, spec: FunctionSpec, group: str) -> list[str]:
        """The names, within a group such as `queue`, of what a function has rights on."""
        named = [on for right in spec.rights for on in right.on if isinstance(on, str)]
        return [
            name
            for name in self._arns
            if name.startswith(f"{group}.") and any(fnmatchcase(name, each) for each in named if each != "*")
        ]

    def _scheduled(self, arn: str) -> Wildcard:
        return wildcard(self.stack, arn, "a schedule is named after the envelope that it holds; all are in one group")

    def _files(self, prefix: str) -> Wildcard:
        return bucket_files(
            self.stack, self.bucket, prefix, "files come and go while the platform runs; all are under one prefix"
        )

    def _secrets(self, names: str, what: str) -> Wildcard:
        arn = self.stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{self.stage.prefix}/{names}",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        reason = f"{what} come and go while the platform runs; all are under one prefix"
        return wildcard(self.stack, arn, reason)
