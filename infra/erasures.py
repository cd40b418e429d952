"""How erasures go on: their queue, and its dead-letter queue."""

from constructs import Construct

from infra.messaging import consumed_queue
from infra.stage import Stage
from shared.function import Functions


class Erasures(Construct):
    """The queue of erasures' tasks, and its dead-letter queue."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, id)
        # One search holds its place for as long as its function may run, and no longer: what broke off goes on then.
        self.queue, self.dead = consumed_queue(self, "erasures", stage, functions, time_outs=1)
