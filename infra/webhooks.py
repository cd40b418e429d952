"""How webhooks' deliveries wait: their queue, and its dead-letter queue."""

from constructs import Construct

from infra.messaging import consumed_queue
from infra.stage import Stage
from shared.function import Functions


class Webhooks(Construct):
    """The queue of deliveries, and its dead-letter queue, which takes batches of the stream that were given up too."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        self.queue, self.dead = consumed_queue(self, "webhooks", stage, functions)
