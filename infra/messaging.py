"""How work waits: a queue and a dead-letter queue per channel and class, and schedules for what is due later."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.nag import acknowledge
from infra.roles import Role
from infra.specs import consumer
from infra.stage import Stage
from shared.base.channels import CHANNELS, queue_name
from shared.function import Functions
from shared.model.words import Channel, MessageClass

MAX_RECEIVES = 6
RETENTION = Duration.days(14)
"""The longest that SQS keeps a message: what was accepted must outlast any backlog."""
VISIBILITY_FACTOR = 6
"""How many function time-outs a received message stays hidden (Lambda's guide: at least six, plus the window)."""
CODE_VISIBILITY_S = 90
"""Of queues for codes: after a crash a code must come back before it expires. It may then come back while a throttled
mapping still holds it; the ledger's lease tells the two apart. It is longer than any lease."""


def dead_letter_queue(scope: Construct, id: str, name: str, visibility: Duration | None = None) -> sqs.Queue:
    """A queue where messages wait up to 14 days for a person, or for the function that takes them."""
    return sqs.Queue(
        scope,
        id,
        queue_name=name,
        visibility_timeout=visibility,
        retention_period=RETENTION,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        removal_policy=RemovalPolicy.DESTROY,
    )


class Queues(Construct):
    """The queues and dead-letter queues, by names such as `sms.verification`."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        self._functions = functions
        self.queues: dict[str, sqs.Queue] = {}
        self.dead_letters: dict[str, sqs.Queue] = {}
        for channel in CHANNELS:
            for message_class in MessageClass:
                self._pair(channel, message_class, stage.prefix)

    def _pair(self, channel: Channel, message_class: MessageClass, prefix: str) -> None:
        name = queue_name(channel, message_class)
        id = f"{channel.value.title()}{message_class.value.title()}"
        physical = f"{prefix}-{channel}-{message_class}"
        dead = dead_letter_queue(self, f"{id}Dead", f"{physical}-dlq", self._hidden(f"dead.{name}"))
        self.dead_letters[name] = dead
        self.queues[name] = sqs.Queue(
            self,
            id,
            queue_name=physical,
            visibility_timeout=(
                Duration.seconds(CODE_VISIBILITY_S)
                if message_class is MessageClass.VERIFICATION
                else self._hidden(f"queue.{name}")
            ),
            retention_period=RETENTION,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=MAX_RECEIVES),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _hidden(self, name: str) -> Duration:
        """How long a received message stays hidden, by the function that takes it."""
        spec, trigger = consumer(name, self._functions)
        return Duration.seconds(VISIBILITY_FACTOR * spec.timeout_s + (trigger.window_s or 0))


def consumed_queue(
    scope: Construct, name: str, stage: Stage, functions: Functions, time_outs: int = VISIBILITY_FACTOR
) -> tuple[sqs.Queue, sqs.Queue]:
    """(a queue by the side of the messages' own, its dead-letter queue); its consumer is bound to `<name>.queue`.

    time_outs: for so many of the consumer's a received message stays hidden.
    """
    spec, trigger = consumer(f"{name}.queue", functions)
    dead = dead_letter_queue(scope, "Dead", f"{stage.prefix}-{name}-dlq")
    queue = sqs.Queue(
        scope,
        "Queue",
        queue_name=f"{stage.prefix}-{name}",
        visibility_timeout=Duration.seconds(time_outs * spec.timeout_s + (trigger.window_s or 0)),
        retention_period=RETENTION,
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=MAX_RECEIVES),
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        removal_policy=RemovalPolicy.DESTROY,
    )
    return queue, dead


class TaskQueue(Construct):
    """The queue of the campaign function's tasks, and its dead-letter queue."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        spec, _ = consumer("campaigns.queue", functions)
        self.dead = dead_letter_queue(self, "Dead", f"{stage.prefix}-campaigns-dlq")
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=f"{stage.prefix}-campaigns",
            # As long as the function may take, and no longer: what broke off is found by its run's driver within a
            # minute or so, and done again.
            visibility_timeout=Duration.seconds(spec.timeout_s),
            retention_period=RETENTION,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=MAX_RECEIVES),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )


class Schedules(Construct):
    """The groups of schedules, the role they fire with, and where those go that cannot be delivered.

    Envelopes have one group, and campaigns another. Both have fixed names, so that functions and policies need no
    reference to them.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, queues: Queues, tasks: TaskQueue) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        self.group_name = stage.prefix
        self.campaigns_group = f"{stage.prefix}-campaigns"
        scheduler.CfnScheduleGroup(self, "Group", name=self.group_name)
        scheduler.CfnScheduleGroup(self, "CampaignsGroup", name=self.campaigns_group)
        self.dead_letters = dead_letter_queue(self, "Dead", f"{stage.prefix}-schedules-dlq")
        acknowledge(self.dead_letters, "SQS3", "the dead-letter queue of schedules")
        names = (self.group_name, self.campaigns_group)
        group_arns = [stack.format_arn(service="scheduler", resource="schedule-group", resource_name=n) for n in names]
        self.schedule_arns, self.campaign_arns = (
            stack.format_arn(service="scheduler", resource="schedule", resource_name=f"{name}/*") for name in names
        )
        # Only schedules of this account's groups may take the role.
        self.role = Role(
            self,
            "Role",
            description="EventBridge Scheduler puts due envelopes and tasks on their queues",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnEquals": {"aws:SourceArn": group_arns},
                },
            ),
        )
        targets = [*queues.queues.values(), tasks.queue, self.dead_letters]
        self.role.allow(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn for queue in targets])
        )
