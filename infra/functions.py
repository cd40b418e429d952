"""The functions: what each is made of, the environment it reads, and how one is put together with its least rights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.nag import acknowledge
from infra.specs import PYTHON_VERSION, FunctionSpec
from infra.stages import LOG_DAYS, Stage

# The CDK has words for the periods that CloudWatch keeps logs for.
_RETENTION: Mapping[int, logs.RetentionDays] = dict(
    zip(
        LOG_DAYS,
        (
            logs.RetentionDays.ONE_DAY,
            logs.RetentionDays.ONE_WEEK,
            logs.RetentionDays.TWO_WEEKS,
            logs.RetentionDays.ONE_MONTH,
            logs.RetentionDays.THREE_MONTHS,
            logs.RetentionDays.ONE_YEAR,
        ),
        strict=True,
    )
)


def log_group(scope: Construct, id: str, name: str, stage: Stage) -> logs.LogGroup:
    """A log group that forgets. It is made here and not by the service, which would keep lines for ever."""
    return logs.LogGroup(
        scope,
        id,
        log_group_name=name,
        retention=_RETENTION[stage.log_days],
        removal_policy=RemovalPolicy.RETAIN if stage.keep_data else RemovalPolicy.DESTROY,
    )


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A resource that cannot be named in full. finding: as cdk-nag writes it; reason: why it must be so."""

    arn: str
    finding: str
    reason: str


class Service(Construct):
    """A function with its role and log group. It may do nothing but write its own log until `allow` is called."""

    def __init__(
        self,
        scope: Construct,
        spec: FunctionSpec,
        *,
        stage: Stage,
        code: lambda_.Code,
        environment: Mapping[str, str],
        recursive: bool = False,
    ) -> None:
        super().__init__(scope, spec.construct_id)
        self.spec = spec
        name = f"{stage.prefix}-{spec.name}"
        self.log_group = log_group(self, "Logs", f"/aws/lambda/{name}", stage)
        self.role = iam.Role(
            self,
            "Role",
            description=f"What {name} may do",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=spec.description,
            runtime=lambda_.Runtime(f"python{PYTHON_VERSION}", lambda_.RuntimeFamily.PYTHON),
            architecture=lambda_.Architecture.ARM_64,
            handler=spec.handler,
            code=code,
            role=self.role,
            log_group=self.log_group,
            memory_size=spec.memory_mb,
            timeout=Duration.seconds(spec.timeout_s),
            environment=environment,
            # An envelope comes back to its function by design: retries, waits and continuations. Lambda takes sixteen
            # rounds through a queue for a runaway loop and throws the message into the dead-letter queue; ours are
            # bounded by the tries and the time to live in the envelope.
            recursive_loop=lambda_.RecursiveLoop.ALLOW if recursive else None,
        )
        self.allow(["logs:CreateLogStream", "logs:PutLogEvents"], self.log_group.log_group_arn)

    def allow(
        self,
        actions: Sequence[str],
        *resources: str | Wildcard,
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        """Let the function do `actions` on `resources`."""
        for resource in resources:
            if isinstance(resource, Wildcard):
                acknowledge(self.role, f"IAM5[Resource::{resource.finding}]", resource.reason)
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=list(actions),
                resources=[r.arn if isinstance(r, Wildcard) else r for r in resources],
                conditions=conditions,
            )
        )


def run_regularly(service: Service, stage: Stage, *, minutes: int) -> None:
    """Have a function run every so many minutes, by a schedule of its own with a role that may call it alone."""
    stack = Stack.of(service)
    # Envelopes have a group of schedules to themselves, so this one is in the group that every account has.
    group_arn = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
    role = iam.Role(
        service,
        "ScheduleRole",
        description=f"Runs {stage.prefix}-{service.spec.name} regularly",
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
        name=f"{stage.prefix}-{service.spec.name}",
        schedule_expression=f"rate({minutes} minutes)",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(arn=service.function.function_arn, role_arn=role.role_arn),
    )
