"""How many texts a key has had on a day (UTC), in the guard table: one item per key and day, and one for those abroad.

A process takes places in blocks of a thousandth of the limit, and spends them by itself. What it does not spend is lost
when it ends: a thousandth of the limit each at most. A limit of up to 1,999 has blocks of one place, and is exact.
"""

import threading
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct

from shared.model.clock import Clock
from shared.store.dynamo import StoreError

DAY_MS = 86_400_000
TTL_S = 3 * 86_400
BLOCKS = 1000
_ROUNDS = 20


class Of(NamedTuple):
    """Whose places."""

    tenant: str
    key: str
    which: str
    """`all`, or `abroad`."""


class Taken(Struct, frozen=True):
    """The places for texts that a request got."""

    places: int
    """How many were got."""
    near: bool = False
    """These made it four fifths of the limit."""


class Texts:
    """Places of the day, shared by threads."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._lock = threading.Lock()
        self._day = -1
        self._left: dict[Of, int] = {}

    def take(self, of: Of, wanted: int, limit: int) -> Taken:
        """Take up to so many places; none beyond the limit. No request if the process has them, else one.

        Raises: StoreError; what the client raises. Nothing is got then.
        """
        with self._lock:
            day = self._clock.now_ms() // DAY_MS
            if day != self._day:
                self._day, self._left = day, {}
            left = self._left.get(of, 0)
            if left >= wanted:
                self._left[of] = left - wanted
                return Taken(wanted)
            got, near = self._more(of, day, wanted - left, limit)
            self._left[of] = max(0, left + got - wanted)
            return Taken(min(wanted, left + got), near)

    def at_hand(self, of: Of, wanted: int) -> bool:
        """Take so many places if the process has them, without a request; whether it does."""
        with self._lock:
            if self._clock.now_ms() // DAY_MS != self._day or self._left.get(of, 0) < wanted:
                return False
            self._left[of] -= wanted
            return True

    def give_back(self, of: Of, places: int, anew: int) -> None:
        """Have the process spend places on something else. anew: when their day ends, in milliseconds since the epoch;
        those of another day are gone."""
        with self._lock:
            if anew == (self._day + 1) * DAY_MS:
                self._left[of] = self._left.get(of, 0) + places

    def _more(self, of: Of, day: int, missing: int, limit: int) -> tuple[int, bool]:
        """Take `missing` places or a block, whichever is more, as far as there are any."""
        amount = min(limit, max(missing, limit // BLOCKS))
        for _ in range(_ROUNDS):
            if amount <= 0:
                return 0, False
            taken = self._add(of, day, amount, limit)
            if taken >= 0:
                return amount, taken - amount < limit * 4 // 5 <= taken
            amount = min(amount, limit + taken)
        raise StoreError("places are taken faster than they can be counted")

    def _add(self, of: Of, day: int, amount: int, limit: int) -> int:
        """How many are taken with these; if there is no room for them, how many are taken, below zero."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(of, day),
                UpdateExpression="ADD taken :amount SET #ttl = :ttl",
                ConditionExpression="attribute_not_exists(taken) OR taken <= :room",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":amount": {"N": str(amount)},
                    ":room": {"N": str(limit - amount)},
                    ":ttl": {"N": str((day + 1) * DAY_MS // 1000 + TTL_S)},
                },
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return -int(error.response["Item"]["taken"]["N"])
        return int(answer["Attributes"]["taken"]["N"])


def _key(of: Of, day: int) -> dict[str, Any]:
    date = datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()
    return {"pk": {"S": f"texts#{of.tenant}#{of.key}#{date}"}, "sk": {"S": of.which}}
