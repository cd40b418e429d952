"""Envelopes that are held while their run is paused, in the guard table: `parked#<tenant>#<run>#<bucket>`, by id.

Who parks an envelope looks at the run once more afterwards: if it goes on by then, the envelope goes to its queue as
well. Who has a run go on says so first and then empties its buckets. So of the two at least one sees the other, and an
envelope that goes to its queue twice is known there by its id.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

from shared.model.clock import Clock
from shared.model.envelope import Envelope, read_envelope
from shared.store.dynamo import batch_delete, batch_put, query_pages

BUCKETS = 8
"""Partitions of a run's parking place: one takes 1,000 write units a second, and an envelope some ten."""
TTL_S = 14 * 86_400
"""As long as a queue would keep them, and a day less than ledgers are kept (`shared/store/ledger.py`): of what is taken
out, however late and however often, it is known whether it was sent."""
PAGE = 20


class Parking:
    """Keeps envelopes; thread-safe."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def put(self, envelopes: Sequence[Envelope]) -> None:
        """Keep envelopes of runs; keeping one again only begins its time anew. Raises: StoreError; what the client
        raises. Some may be kept then."""
        ttl = {"N": str(self._now_s() + TTL_S)}
        items = {
            e.id: {
                **_key(e.tenant, e.run or "", crc32(e.id.encode()) % BUCKETS, e.id),
                "body": {"B": zlib.compress(e.to_json().encode(), 1)},
                "ttl": ttl,
            }
            for e in envelopes
        }
        batch_put(self._client, self._table, list(items.values()))

    def pages(self, tenant: str, run: str, bucket: int) -> Iterator[list[tuple[Envelope, str]]]:
        """What is kept in a bucket, with the bodies, some at a time. What is put in meanwhile may be left out.

        Raises: what the client raises.
        """
        for items in query_pages(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _key(tenant, run, bucket, "")["pk"]},
            ConsistentRead=True,
            Limit=PAGE,
        ):
            # The table deletes what is over its time days later.
            kept = [item for item in items if int(item["ttl"]["N"]) > self._now_s()]
            if kept:
                bodies = [zlib.decompress(item["body"]["B"]).decode() for item in kept]
                yield [(read_envelope(body), body) for body in bodies]

    def delete(self, tenant: str, run: str, bucket: int, ids: Sequence[str]) -> None:
        """Forget envelopes that are on their queues; one that is gone is no error.

        Raises: StoreError; what the client raises.
        """
        batch_delete(self._client, self._table, [_key(tenant, run, bucket, id) for id in dict.fromkeys(ids)])

    def any(self, tenant: str, run: str) -> bool:
        """Whether anything of a run is kept."""
        return any(next(self.pages(tenant, run, bucket), None) for bucket in range(BUCKETS))

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000


def _key(tenant: str, run: str, bucket: int, id: str) -> dict[str, Any]:
    return {"pk": {"S": f"parked#{tenant}#{run}#{bucket}"}, "sk": {"S": id}}
