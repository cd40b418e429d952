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

from infra.stages import Stage

MAX_ITERATOR_AGE_MS = 5 * 60_000


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

    def watch_dead_letters(self, queues: Mapping[str, sqs.Queue]) -> None:
        """Alarm as soon as a dead-letter queue holds a message. queues: by names such as `sms.verification`."""
        for name, queue in queues.items():
            self._alarm(
                f"dead-letters-{name.replace('.', '-')}",
                f"Dead letters wait in {name}: look at their reason and mend it.",
                queue.metric_approximate_number_of_messages_visible(period=self._period, statistic="Maximum"),
                above=0,
            )

    def watch_functions(self, functions: Mapping[str, lambda_.Function]) -> None:
        """Alarm when a function fails or is throttled. functions: by logical names."""
        for name, function in functions.items():
            label = name.replace("_", "-")
            self._alarm(
                f"errors-{label}",
                f"The function {name} failed: read its log.",
                function.metric_errors(period=self._period, statistic="Sum"),
                above=0,
            )
            self._alarm(
                f"throttles-{label}",
                f"The function {name} is held back by a concurrency limit.",
                function.metric_throttles(period=self._period, statistic="Sum"),
                above=0,
                periods=5,
            )

    def watch_lag(self, function: lambda_.Function) -> None:
        """Alarm when the consumer of the stream is minutes behind."""
        self._alarm(
            "trace-lag",
            "Timelines and counters are more than five minutes behind.",
            function.metric("IteratorAge", period=self._period, statistic="Maximum"),
            above=MAX_ITERATOR_AGE_MS,
            periods=3,
        )

    def _alarm(self, name: str, description: str, metric: cloudwatch.Metric, *, above: float, periods: int = 1) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name.title().replace("-", ""),
            alarm_name=f"{self._prefix}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            # Most of these metrics exist only while something happens.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
