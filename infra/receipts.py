"""Where receipts come in: their queue, and what may put receipts on it: EventBridge by a rule, and topics by name."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import ArnFormat, CfnOutput, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.messaging import consumed_queue
from infra.stage import Stage
from shared.base.rights import Outside
from shared.function import Functions
from shared.providers.spec import DEPLOYMENT
from shared.providers.table import PROVIDERS

MAX_AGE = Duration.hours(24)
DELIVERIES = 185
"""The most, in both, that EventBridge tries (EventBridge user guide, "Retrying event delivery")."""


class Receipts(Construct):
    """The queue of receipts, and its dead-letter queue."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        self._prefix = stage.prefix
        self.queue, self.dead = consumed_queue(self, "receipts", stage, functions)
        for provider in PROVIDERS.values():
            if provider.events is not None:
                self._rule(provider.name, provider.events)
        if any(provider.topic_fields for provider in PROVIDERS.values()):
            self._let_topics_in()
        for provider in PROVIDERS.values() if stage.receipts_topic else ():
            if provider.topic_from is not None:
                self._make_topic(provider.name, provider.topic_from)

    def _make_topic(self, provider: str, source: Outside) -> None:
        """A topic that AWS may publish to for a provider's messages in this account, and that passes all to the queue.

        Not encrypted with a key: services cannot publish under the one that AWS manages for SNS (SNS developer guide,
        "Enable compatibility between event sources from AWS services and encrypted topics").
        """
        stack, name = Stack.of(self), provider.title()
        topic = sns.Topic(self, f"{name}Topic", topic_name=f"{self._prefix}-receipts-{provider}", enforce_ssl=True)
        sources = stack.format_arn(service=source.service, resource=source.kind, resource_name=source.name)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="SourcesPublish",
                principals=[iam.ServicePrincipal(f"{source.service}.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": sources},
                },
            )
        )
        # By its name it may put messages on the queue already.
        sns.CfnSubscription(
            self,
            f"{name}Subscription",
            topic_arn=topic.topic_arn,
            protocol="sqs",
            endpoint=self.queue.queue_arn,
            raw_message_delivery=True,
        )
        CfnOutput(self, f"{name}TopicArn", value=topic.topic_arn)

    def _let_topics_in(self) -> None:
        """Let topics of the AWS account put messages on the queue that people make for it, in any Region."""
        stack = Stack.of(self)
        topics = stack.format_arn(
            service="sns",
            region="*",
            resource=f"{self._prefix}-receipts*",
            arn_format=ArnFormat.NO_RESOURCE_NAME,
        )
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sqs:SendMessage"],
                principals=[iam.ServicePrincipal("sns.amazonaws.com")],
                resources=[self.queue.queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": topics}, "StringEquals": {"aws:SourceAccount": stack.account}},
            )
        )

    def _rule(self, provider: str, pattern: Mapping[str, Any]) -> None:
        """Put what AWS says of a provider's messages, on the account's own bus, on the queue."""
        rule = events.Rule(
            self,
            provider.title(),
            rule_name=f"{self._prefix}-receipts-{provider}",
            description=f"Receipts of the provider {provider} go to their queue",
            event_pattern=events.EventPattern(source=pattern["source"]),
            targets=[
                targets.SqsQueue(
                    self.queue, dead_letter_queue=self.dead, max_event_age=MAX_AGE, retry_attempts=DELIVERIES
                )
            ],
        )
        made = rule.node.default_child
        if not isinstance(made, events.CfnRule):
            raise TypeError("a rule of the stack's own is needed")
        # The construct knows some of the fields alone.
        made.event_pattern = of_deployment(pattern, self._prefix)


def of_deployment(pattern: Any, prefix: str) -> Any:
    """A pattern of events, about messages of one deployment."""
    if isinstance(pattern, Mapping):
        return {name: of_deployment(each, prefix) for name, each in pattern.items()}
    if isinstance(pattern, list):
        return [of_deployment(each, prefix) for each in pattern]
    return prefix if pattern == DEPLOYMENT else pattern
