"""A function with its role and log group."""

from collections.abc import Mapping

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.data import Kept
from infra.nag import acknowledge
from infra.network import Vpc
from infra.roles import Role
from infra.specs import PYTHON_VERSION
from infra.stage import LOG_DAYS, Stage
from shared.function import FunctionSpec

LIVE = "live"
"""The name of what is called of a function that starts from snapshots."""

KEY_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What whoever works with tables, files and a stream does with their key."""
_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda asks of a function's role (Lambda developer guide, "Giving Lambda functions access to a VPC")."""

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


class Service(Construct):
    """A function with its role and log group. It may do nothing but write its own log, and has no environment yet."""

    def __init__(self, scope: Construct, spec: FunctionSpec, *, stage: Stage, code: lambda_.Code, kept: Kept) -> None:
        super().__init__(scope, spec.construct_id)
        self.spec = spec
        name = f"{stage.prefix}-{spec.name}"
        snapshot = spec.snapshot and stage.snapshots
        self.log_group = log_group(self, "Logs", f"/aws/lambda/{name}", stage)
        self.role = Role(
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
            runtime=lambda_.Runtime(f"python{PYTHON_VERSION}", lambda_.RuntimeFamily.PYTHON, supports_snap_start=True),
            architecture=lambda_.Architecture.ARM_64,
            handler=spec.handler,
            code=code,
            role=self.role.role,
            log_group=self.log_group,
            memory_size=spec.memory_mb,
            timeout=Duration.seconds(spec.timeout_s),
            # An envelope comes back to its function by design: retries, waits and continuations. Lambda takes sixteen
            # rounds through a queue for a runaway loop and throws the message into the dead-letter queue; ours are
            # bounded by the tries and the time to live in the envelope.
            recursive_loop=lambda_.RecursiveLoop.ALLOW if spec.recursive else None,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if snapshot else None,
            # A version's snapshot is paid for as long as there is the version.
            current_version_options=lambda_.VersionOptions(removal_policy=RemovalPolicy.DESTROY),
        )
        self.called: lambda_.IFunction = self._published() if snapshot else self.function
        """What triggers call."""
        self.role.allow(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
            )
        )

        if kept.key is not None:
            self.role.allow(iam.PolicyStatement(actions=list(KEY_ACTIONS), resources=[kept.key.key_arn]))
        if kept.network is not None and spec.connects:
            self._connect_from(kept.network)

    def _connect_from(self, network: Vpc) -> None:
        """Have it connect from a network, to which Lambda ties it by interfaces that it makes itself."""
        made = self.function.node.default_child
        if not isinstance(made, lambda_.CfnFunction):
            raise TypeError("a function of the stack's own is needed")
        made.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=network.subnets, security_group_ids=network.security_groups
        )
        acknowledge(self.role.role, "IAM5[Resource::*]", "Lambda makes the interfaces; none can be named before")
        self.role.allow(iam.PolicyStatement(actions=list(_INTERFACES), resources=["*"]))

    def _published(self) -> lambda_.Alias:
        """The function as it was last deployed: only published versions have snapshots."""
        return lambda_.Alias(self, "Live", alias_name=LIVE, version=self.function.current_version)
