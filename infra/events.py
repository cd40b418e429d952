"""The bus: an event of the type `mePush send` that anybody puts on it has messages sent; events about messages of the
type `mePush message` are put on it for tenants that ask for them."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.functions import Service
from infra.messaging import dead_letter_queue
from infra.nag import acknowledge
from infra.stage import Stage

DETAIL_TYPE = "mePush send"
MAX_AGE = Duration.hours(6)
"""How long EventBridge tries to hand an event to Lambda, and then Lambda to run the function: twice this is less than
the 24 hours for which an event's id is known."""
DELIVERIES = 185
"""The most that EventBridge tries (EventBridge user guide, "Retrying event delivery")."""
RETRIES = 2
"""The most that Lambda tries again, after one minute and two (Lambda developer guide, "Asynchronous invocation")."""


class Bus(Construct):
    """The bus, what it hands to whom, and the queue for events that nothing can be done with."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self.name = stage.prefix
        self.dead = dead_letter_queue(self, "Dead", f"{stage.prefix}-events-dlq")
        acknowledge(self.dead, "SQS3", "the dead-letter queue of events")
        self._bus = events.EventBus(self, "Events", event_bus_name=stage.prefix)

    @property
    def arn(self) -> str:
        """The bus's."""
        return self._bus.event_bus_arn

    def feed(self, service: Service) -> None:
        """Have a function called with each event that asks for messages; the function itself says which are not valid.

        The function must have the right to send to the queue: Lambda does so in its name.
        """
        events.Rule(
            self,
            "Send",
            rule_name=f"{self.name}-send",
            description=f"Events that ask for messages go to {service.spec.name}",
            event_bus=self._bus,
            event_pattern=events.EventPattern(detail_type=[DETAIL_TYPE]),
            targets=[
                targets.LambdaFunction(
                    service.function, dead_letter_queue=self.dead, max_event_age=MAX_AGE, retry_attempts=DELIVERIES
                )
            ],
        )
        lambda_.CfnEventInvokeConfig(
            self,
            "Invocations",
            function_name=service.function.function_name,
            qualifier="$LATEST",
            maximum_event_age_in_seconds=int(MAX_AGE.to_seconds()),
            maximum_retry_attempts=RETRIES,
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=self.dead.queue_arn)
            ),
        )
