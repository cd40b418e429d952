"""How webhooks' deliveries wait: their queue, and its dead-letter queue."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.messaging import MAX_RECEIVES, RETENTION, VISIBILITY_FACTOR, dead_letter_queue
from infra.specs import consumer
from infra.stages import Stage
from shared.function import Functions


class Webhooks(Construct):
    """The queue of deliveries, and its dead-letter queue, which takes batches of the stream that were given up too."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        spec, trigger = consumer("webhooks.queue", functions)
        self.dead = dead_letter_queue(self, "Dead", f"{stage.prefix}-webhooks-dlq")
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=f"{stage.prefix}-webhooks",
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * spec.timeout_s + (trigger.window_s or 0)),
            retention_period=RETENTION,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=MAX_RECEIVES),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
