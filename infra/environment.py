"""The functions' environments: each gets exactly the variables that its settings declare."""

import json

from aws_cdk import Stack

from infra.parts import Parts
from infra.specs import FunctionError
from shared.function import FunctionSpec

LIBRARY_VARIABLES = ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL")
"""What Powertools reads by itself: the names that log lines and metrics carry, and the level of logging."""

METRICS_NAMESPACE = "mePush"


def environment(spec: FunctionSpec, parts: Parts) -> dict[str, str]:
    """The environment of a function, when what calls functions is there already.

    Raises: FunctionError if its settings declare a variable for which the stack has no value.
    """
    values = {**_values(parts), **_seen(spec, parts)}
    missing = [name for name in spec.variables if name not in values]
    if missing:
        raise FunctionError(f"{spec.name}: no value for {', '.join(missing)}")
    library = (spec.name, METRICS_NAMESPACE, "INFO")
    return {
        **{name.upper(): values[name] for name in spec.variables},
        **dict(zip(LIBRARY_VARIABLES, library, strict=True)),
    }


def _values(parts: Parts) -> dict[str, str]:
    stack, stage, tables, schedules = parts.stack, parts.stage, parts.tables, parts.schedules
    return {
        "catalog_table": tables.catalog.table_name,
        "guard_table": tables.guard.table_name,
        "timeline_table": tables.timeline.table_name,
        "counters_table": tables.counters.table_name,
        "stream_name": parts.stream.stream_name,
        "deployment": schedules.group_name,
        "account_metrics": str(stage.account_metrics).lower(),
        "schedule_group": schedules.group_name,
        "schedule_role_arn": schedules.role.arn,
        "schedule_dlq_arn": schedules.dead_letters.queue_arn,
        "campaigns_group": schedules.campaigns_group,
        "campaigns_url": parts.tasks.queue.queue_url,
        "receipts_url": parts.receipts.queue.queue_url,
        "public_url": parts.public_url,
        "webhooks_url": parts.webhooks.queue.queue_url,
        "erasures_url": parts.erasures.queue.queue_url,
        "bus_name": parts.bus.name,
        "schedules_dlq_url": schedules.dead_letters.queue_url,
        "trace_dlq_url": parts.trace_dead.queue_url,
        "receipts_dlq_url": parts.receipts.dead.queue_url,
        "webhooks_dlq_url": parts.webhooks.dead.queue_url,
        "events_dlq_url": parts.bus.dead.queue_url,
        "assets_bucket": parts.bucket.bucket_name,
        "upload_endpoint": f"https://s3.{stack.region}.{stack.url_suffix}",
        "secret_prefix": stage.prefix,
        "retention_days": str(stage.timeline_days),
        "dns_server": "",
        "allow_loopback_endpoints": str(stage.allow_loopback).lower(),
        "private_networks": json.dumps(stage.private_networks),
        **({} if parts.archive is None else {"archive_stream": parts.archive.stream_name}),
    }


def _seen(spec: FunctionSpec, parts: Parts) -> dict[str, str]:
    """What has a value per queue: a function sees what it has rights on."""

    def urls(group: str) -> dict[str, str]:
        return {name: parts.queue(name).queue_url for name in parts.seen(spec, group)}

    ids = {name: parts.mappings[name].event_source_mapping_id for name in parts.seen(spec, "mapping")}
    every = {"queue_urls": urls("queue"), "dlq_urls": urls("dead"), "queue_mappings": ids}
    return {name: _by_queue(parts.stack, found) for name, found in every.items() if found}


def _by_queue(stack: Stack, values: dict[str, str]) -> str:
    return stack.to_json_string({name.partition(".")[2]: value for name, value in values.items()})
