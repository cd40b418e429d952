"""Who is erased, in the guard table: `erased#<tenant>`, by the name of the recipient's tag.

Dispatch, the trace and the webhooks look here before they send, keep or tell anything of messages that are not quite
new. What a new message leaves behind is found by the searches of the erasure, which come later than that.
"""

from typing import Any

from shared.base.cache import TtlCache
from shared.model.clock import Clock
from shared.model.ids import ULID_LENGTH, ulid_time
from shared.model.veils import Veil, Veils
from shared.store.dynamo import Item, query_all

KEPT_S = 17 * 86_400
"""Longer than anything waits that carries a recipient: a queue keeps 14 days, a ledger 15."""
REMEMBERED_S = 10
"""How old what a process knows may be."""
NEW_MS = 60_000
"""A message is so new that nobody is asked: whoever sends it would be faster than any mark."""
_NOBODY: Veils = {}


class VeilStore:
    """Reads and writes veils; thread-safe."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._known: TtlCache[Veils] = TtlCache(clock, REMEMBERED_S, 500, REMEMBERED_S)

    def put(self, tenant: str, name: str, veil: Veil) -> None:
        """Keep a veil, or keep it longer. Raises: what the client raises."""
        ends = self._clock.now_ms() // 1000 + KEPT_S
        item = {**_key(tenant, name), "tag": {"S": veil.tag}, "at": {"N": str(veil.at)}, "ttl": {"N": str(ends)}}
        self._client.put_item(TableName=self._table, Item=item)

    def of(self, tenant: str, ulid: str) -> Veils:
        """The veils that may cover a message, envelope or request. ulid: what its id begins with; a new one has none.

        One request per tenant in ten seconds, of messages older than a minute. Raises: what the client raises.
        """
        try:
            accepted_at = ulid_time(ulid[:ULID_LENGTH])
        except ValueError:
            return _NOBODY
        if accepted_at > self._clock.now_ms() - NEW_MS:
            return _NOBODY
        return self._known.get(tenant, lambda: self._read(tenant)) or _NOBODY

    def _read(self, tenant: str) -> Veils:
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _key(tenant, "")["pk"]},
            ConsistentRead=True,
        )
        return {item["sk"]["S"]: Veil(item["tag"]["S"], int(item["at"]["N"])) for item in found}


def _key(tenant: str, name: str) -> Item:
    return {"pk": {"S": f"erased#{tenant}"}, "sk": {"S": name}}
