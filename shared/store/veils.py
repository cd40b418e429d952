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

    def put(self, tenant: str, name: str, veil: Veil) -> Veil:
        """Keep a veil, or have the one that is there cover as much, and for longer; returns it as it is then.

        Raises: what the client raises.
        """
        try:
            return self._put(tenant, name, veil, "attribute_not_exists(#at) OR #at <= :at")
        except self._client.exceptions.ConditionalCheckFailedException as error:
            # The person was to be forgotten again since.
            there = _veil(error.response["Item"])
            return self._put(tenant, name, there, "#at >= :at")

    def _put(self, tenant: str, name: str, veil: Veil, condition: str) -> Veil:
        answer = self._client.update_item(
            TableName=self._table,
            Key=_key(tenant, name),
            UpdateExpression="SET tag = if_not_exists(tag, :tag), #at = :at, #ttl = :ends",
            ExpressionAttributeNames={"#at": "at", "#ttl": "ttl"},
            ExpressionAttributeValues={
                ":tag": {"S": veil.tag},
                ":at": {"N": str(veil.at)},
                ":ends": {"N": str(self._clock.now_ms() // 1000 + KEPT_S)},
            },
            ConditionExpression=condition,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return _veil(answer["Attributes"])

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
        return {item["sk"]["S"]: _veil(item) for item in found}


def _veil(item: Item) -> Veil:
    return Veil(item["tag"]["S"], int(item["at"]["N"]))


def _key(tenant: str, name: str) -> Item:
    return {"pk": {"S": f"erased#{tenant}"}, "sk": {"S": name}}
