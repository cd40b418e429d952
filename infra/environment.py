"""The functions' environments: each gets exactly the variables that its settings declare."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

from infra.data import Tables
from infra.messaging import Queues, Schedules, TaskQueue
from infra.specs import FunctionSpec
from infra.stages import Stage

LIBRARY_VARIABLES = ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL")
"""What Powertools reads by itself: the names that log lines and metrics carry, and the level of logging."""

METRICS_NAMESPACE = "mePush"


class UnknownVariableError(Exception):
    """A function's settings declare a variable for which the stack has no value."""


class Environments:
    """Makes environments from the parts of the stack."""

    def __init__(
        self,
        stack: Stack,
        stage: Stage,
        tables: Tables,
        stream: kinesis.Stream,
        queues: Queues,
        schedules: Schedules,
        tasks: TaskQueue,
        trace_dead: sqs.Queue,
        events_dead: sqs.Queue,
        bucket: s3.Bucket,
    ) -> None:
        self._stack = stack
        self._queues = queues
        self._values: dict[str, str] = {
            "catalog_table": tables.catalog.table_name,
            "guard_table": tables.guard.table_name,
            "timeline_table": tables.timeline.table_name,
            "counters_table": tables.counters.table_name,
            "stream_name": stream.stream_name,
            "schedule_group": schedules.group_name,
            "schedule_role_arn": schedules.role.role_arn,
            "schedule_dlq_arn": schedules.dead_letters.queue_arn,
            "campaigns_group": schedules.campaigns_group,
            "campaigns_url": tasks.queue.queue_url,
            "schedules_dlq_url": schedules.dead_letters.queue_url,
            "trace_dlq_url": trace_dead.queue_url,
            "events_dlq_url": events_dead.queue_url,
            "assets_bucket": bucket.bucket_name,
            "upload_endpoint": f"https://s3.{stack.region}.{stack.url_suffix}",
            "secret_prefix": stage.prefix,
            "retention_days": str(stage.timeline_days),
            "allow_loopback_endpoints": str(stage.allow_loopback).lower(),
            "private_networks": json.dumps(stage.private_networks),
        }

    def add(self, name: str, by_queue: Mapping[str, str]) -> None:
        """Give a variable a value per queue that was not known when the others were."""
        self._values[name] = self._stack.to_json_string(dict(by_queue))

    def of(self, spec: FunctionSpec) -> dict[str, str]:
        """The environment of a function; a dispatch function sees its own channel's dead-letter queues only.

        Raises: UnknownVariableError.
        """
        values = {**self._values, **self._maps(spec)}
        missing = [name for name in spec.variables if name not in values]
        if missing:
            raise UnknownVariableError(f"{spec.name}: no value for {', '.join(missing)}")
        library = (spec.name, METRICS_NAMESPACE, "INFO")
        return {
            **{name.upper(): values[name] for name in spec.variables},
            **dict(zip(LIBRARY_VARIABLES, library, strict=True)),
        }

    def _maps(self, spec: FunctionSpec) -> dict[str, str]:
        def of(names: list[str], queues: Mapping[str, sqs.Queue], value: Callable[[sqs.Queue], Any]) -> str:
            return self._stack.to_json_string({name: value(queues[name]) for name in names})

        # Messages may fall back to another channel, but are given up by their own.
        every, own = self._queues.names(), self._queues.names(spec.channel)
        return {
            "queue_urls": of(every, self._queues.queues, lambda queue: queue.queue_url),
            "queue_arns": of(every, self._queues.queues, lambda queue: queue.queue_arn),
            "dlq_urls": of(own, self._queues.dead_letters, lambda queue: queue.queue_url),
        }
