"""Connects functions with what calls them, as they say."""

from typing import assert_never

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler

from infra.functions import Service
from infra.parts import Parts
from infra.specs import FunctionError
from shared.function import (
    ApiTrigger,
    AuthorizerTrigger,
    BusTrigger,
    Every,
    OpenRoutes,
    QueueTrigger,
    StreamTrigger,
    Trigger,
)

_PUBLISHED = QueueTrigger | ApiTrigger | OpenRoutes | AuthorizerTrigger
"""What calls published versions."""


def connect(service: Service, trigger: Trigger, parts: Parts) -> None:
    """Have a function called. Raises: FunctionError for a queue that there is not, and for a function that starts from
    snapshots and is called otherwise than by queues and the API."""
    if service.spec.snapshot and not isinstance(trigger, _PUBLISHED):
        raise FunctionError(f"{service.spec.name}: nothing but queues and the API calls published versions")
    match trigger:
        case QueueTrigger():
            _by_queue(service, trigger, parts)
        case StreamTrigger():
            _by_stream(service, trigger, parts)
        case Every():
            _regularly(service, trigger, parts)
        case BusTrigger():
            parts.bus.feed(service)
        case ApiTrigger() | OpenRoutes() | AuthorizerTrigger():
            pass  # the API is made when all functions are there
        case _:
            assert_never(trigger)


def _by_queue(service: Service, trigger: QueueTrigger, parts: Parts) -> None:
    cap, window = trigger.concurrency, trigger.window_s
    made = lambda_.EventSourceMapping(
        service,
        f"{trigger.label}Source",
        target=service.called,
        event_source_arn=parts.queue(trigger.queue).queue_arn,
        batch_size=trigger.batch_size,
        max_batching_window=None if window is None else Duration.seconds(window),
        max_concurrency=cap if isinstance(cap, int) else parts.stage.concurrency[cap],
        report_batch_item_failures=True,
    )
    parts.add_mapping(trigger.queue, made)


def _by_stream(service: Service, trigger: StreamTrigger, parts: Parts) -> None:
    dead = lambda_.CfnEventSourceMapping.OnFailureProperty(destination=parts.queue(trigger.dead).queue_arn)
    lambda_.CfnEventSourceMapping(
        service,
        "Source",
        function_name=service.function.function_name,
        event_source_arn=parts.stream.stream_arn,
        batch_size=trigger.batch_size,
        maximum_batching_window_in_seconds=trigger.window_s,
        starting_position="TRIM_HORIZON",
        parallelization_factor=1,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        maximum_retry_attempts=trigger.retries,
        maximum_record_age_in_seconds=trigger.record_age_s,
        destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(on_failure=dead),
    )


def _regularly(service: Service, trigger: Every, parts: Parts) -> None:
    """By a schedule of the function's own, with a role that may call it alone."""
    stack, name = parts.stack, f"{parts.stage.prefix}-{service.spec.name}"
    # Envelopes have a group of schedules to themselves, so this one is in the group that every account has.
    group_arn = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
    role = iam.Role(
        service,
        "ScheduleRole",
        description=f"Runs {name} regularly",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnEquals": {"aws:SourceArn": group_arn},
            },
        ),
    )
    role.add_to_policy(
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[service.function.function_arn])
    )
    scheduler.CfnSchedule(
        service,
        "Schedule",
        name=name,
        schedule_expression=f"rate({trigger.minutes} minutes)",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(arn=service.function.function_arn, role_arn=role.role_arn),
    )
