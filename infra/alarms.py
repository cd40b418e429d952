"""Alarms on what needs a person: dead letters, events that lag, functions that fail or are held back."""

from collections.abc import Mapping

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.environment import METRICS_NAMESPACE
from infra.stage import Stage
from shared.function import Alarm

STUCK_MINUTES = 15
_RUNBOOKS = {
    "receipts": "work-given-up",
    "webhooks": "work-given-up",
    "campaigns": "work-given-up",
    "erasures": "work-given-up",
    "schedules": "brought-back",
    "trace": "brought-back",
    "events": "events-left-out",
    "archive": "events-left-out",
}
"""The pages on queues of dead letters that only a person can see to, by the queues."""


class Alarms(Construct):
    """The topic that people subscribe to, and the alarms that tell it."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        stack = Stack.of(self)
        self._prefix = stage.prefix
        self._period = Duration.minutes(1)
        # Not encrypted with a key: alarms cannot publish to a topic under the key that AWS manages for SNS, and they
        # carry names and numbers only.
        self.topic = sns.Topic(self, "Topic", topic_name=f"{stage.prefix}-alarms", enforce_ssl=True)
        # A policy of one's own takes the place of the default one, which had let the account's alarms in.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {
                        "aws:SourceArn": stack.format_arn(
                            service="cloudwatch",
                            resource="alarm",
                            resource_name=f"{stage.prefix}-*",
                            arn_format=ArnFormat.COLON_RESOURCE_NAME,
                        )
                    },
                },
            )
        )
        if stage.alarm_email is not None:
            address = stage.alarm_email
            sns.Subscription(self, "Email", topic=self.topic, protocol=sns.SubscriptionProtocol.EMAIL, endpoint=address)

    def watch_dead_letters(self, queues: Mapping[str, sqs.Queue]) -> None:
        """Alarm as soon as a queue holds a message that only a person can see to. queues: by their names."""
        for name, queue in queues.items():
            self._alarm(
                f"dead-letters-{name}",
                f"Dead letters wait in {name}: look at their reason and mend it.",
                queue.metric_approximate_number_of_messages_visible(period=self._period, statistic="Maximum"),
                _RUNBOOKS[name],
                above=0,
            )

    def watch_age(self, name: str, queue: sqs.Queue, seconds: int, description: str, runbook: str) -> None:
        """Alarm when the oldest message of a queue has been there for so long."""
        self._alarm(
            f"{name}-old",
            description,
            queue.metric_approximate_age_of_oldest_message(period=self._period, statistic="Maximum"),
            runbook,
            above=seconds,
            periods=STUCK_MINUTES,
        )

    def watch_kept_letters(self, name: str, queue: sqs.Queue, function: str) -> None:
        """Alarm when dead letters are kept, and when they are not taken from their queue. function: that takes them."""
        label = name.replace(".", "-")
        self._alarm(
            f"dead-letters-{label}",
            f"Messages of {name} were given up: look at them with `mepush dlq list`, mend the cause, redrive them.",
            cloudwatch.Metric(
                namespace=METRICS_NAMESPACE,
                metric_name="DeadLetters",
                dimensions_map={"queue": queue.queue_name, "service": function},
                period=self._period,
                statistic="Sum",
            ),
            "messages-given-up",
            above=0,
        )
        # A message that the function cannot take is hidden nearly all the time, so those are counted too.
        depths = {
            "shown": queue.metric_approximate_number_of_messages_visible(period=self._period, statistic="Maximum"),
            "hidden": queue.metric_approximate_number_of_messages_not_visible(period=self._period, statistic="Maximum"),
        }
        self._alarm(
            f"dead-letters-stuck-{label}",
            f"Dead letters of {name} cannot be kept: read the log of {function}.",
            cloudwatch.MathExpression(expression="shown + hidden", using_metrics=depths, period=self._period),
            "dead-letters-stuck",
            above=0,
            periods=STUCK_MINUTES,
        )

    def watch_function(self, name: str, function: lambda_.Function) -> None:
        """Alarm when a function fails or is throttled. name: its logical one."""
        label = name.replace("_", "-")
        self._alarm(
            f"errors-{label}",
            f"The function {name} failed: read its log.",
            function.metric_errors(period=self._period, statistic="Sum"),
            "function-fails",
            above=0,
        )
        self._alarm(
            f"throttles-{label}",
            f"The function {name} is held back by a concurrency limit.",
            function.metric_throttles(period=self._period, statistic="Sum"),
            "function-held-back",
            above=0,
            periods=5,
        )

    def watch_archive(self, stream: str) -> None:
        """Alarm when Firehose cannot read what it gets, and when it cannot store it. stream: its name."""

        def metric(name: str, statistic: str) -> cloudwatch.Metric:
            dimensions = {"DeliveryStreamName": stream}
            return cloudwatch.Metric(
                namespace="AWS/Firehose",
                metric_name=name,
                dimensions_map=dimensions,
                period=Duration.minutes(5),
                statistic=statistic,
            )

        self._alarm(
            "archive-not-converted",
            "Events of the archive are in the prefix errors/ of its bucket, not in its table: see docs/archive.md.",
            metric("FailedConversion.Records", "Sum"),
            "archive-gaps",
        )
        self._alarm(
            "archive-not-stored",
            "Firehose has not stored events for two hours; after a day it forgets them: read its log.",
            metric("DeliveryToS3.DataFreshness", "Maximum"),
            "archive-gaps",
            above=2 * 3600,
        )

    def watch(self, alarm: Alarm, function: lambda_.Function, name: str, deployment: str) -> None:
        """An alarm that a function asks for. name: of the function. deployment: its name in metrics."""
        period = Duration.minutes(alarm.minutes)
        self._alarm(
            alarm.name,
            alarm.description,
            function.metric(alarm.metric, period=period, statistic=alarm.statistic)
            if alarm.of == "lambda"
            else cloudwatch.Metric(
                namespace=METRICS_NAMESPACE,
                metric_name=alarm.metric,
                dimensions_map={"deployment": deployment, "service": name},
                period=period,
                statistic=alarm.statistic,
            ),
            alarm.runbook,
            above=alarm.above,
            below=alarm.below,
            periods=alarm.periods,
        )

    def _alarm(
        self,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        runbook: str,
        *,
        above: float = 0,
        below: float | None = None,
        periods: int = 1,
    ) -> None:
        """runbook, above, below: see `shared.function.Alarm`."""
        comparison, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            name.title().replace("-", ""),
            alarm_name=f"{self._prefix}-{name}",
            alarm_description=f"{description} Runbook: docs/runbooks/{runbook}.md",
            metric=metric,
            threshold=above if below is None else below,
            comparison_operator=comparison.GREATER_THAN_THRESHOLD if below is None else comparison.LESS_THAN_THRESHOLD,
            evaluation_periods=periods,
            # Most of these metrics exist only while something happens.
            treat_missing_data=missing.NOT_BREACHING if below is None else missing.BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
