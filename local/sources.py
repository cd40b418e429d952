"""What pollers must know of queues and streams, and no request to AWS tells."""

from typing import Protocol

from local.deployment import ACCOUNT, REGION


class Sources(Protocol):
    """A look into whatever plays the queues and streams."""

    def queue_due_ms(self, url: str) -> float | None:
        """When a message of a queue will next be visible, in milliseconds since the epoch; None if it is empty."""

    def oldest_sent_ms(self, url: str) -> float | None:
        """When the oldest message of a queue was sent, in milliseconds since the epoch; None if it is empty."""

    def newest_record(self, stream: str, shard_id: str) -> int:
        """The sequence number of a shard's newest record; 0 if there is none."""


class MotoSources:
    """A look into moto."""

    def queue_due_ms(self, url: str) -> float | None:
        """See `Sources`."""
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]]
        # Visible is what became so before now: one millisecond later.
        return min((max(m.visible_at + 1, m.delayed_until) for m in list(queue._messages)), default=None)

    def oldest_sent_ms(self, url: str) -> float | None:
        """See `Sources`."""
        from moto.sqs.models import sqs_backends

        queue = sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]]
        return min((float(m.sent_timestamp or 0) for m in list(queue._messages)), default=None)

    def newest_record(self, stream: str, shard_id: str) -> int:
        """See `Sources`."""
        from moto.kinesis.models import kinesis_backends

        records = kinesis_backends[ACCOUNT][REGION].streams[stream].shards[shard_id].records
        return int(next(reversed(records))) if records else 0


MOTO = MotoSources()
