"""Marks against duplicates, in the guard table: one per template, recipient and content, held by a message.

A mark that has ended is free, and a later message may take it over; so may nobody before.
"""

from collections.abc import Mapping
from typing import Any

from shared.model.clock import Clock
from shared.store.claims import Answer, Claim, Claimant, Update, update_each
from shared.store.dynamo import query_all

_FREE = "attribute_not_exists(pk) OR ends <= :now"
_MINE = "message = :me AND generation <= :generation"
_SPARE_S = 3600
"""The item stays for so long after the mark's end; the mark itself ends by the clock."""


class Duplicates:
    """Marks in the guard table."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def take(self, tenant: str, template: str, digests: Mapping[Claimant, str], seconds: int) -> list[Claim]:
        """Mark up to 100 contents of a template, each for its recipient and for `seconds`; one request if all are free.

        digests: the content of each message. Who is refused learns whose the mark is and when it ends.
        Raises: StoreError; what the client raises.
        """
        now = self._clock.now_ms()
        updates = [
            self._update(_key(tenant, template, who.tag, digest), _FREE)
            | {
                "UpdateExpression": "SET message = :me, generation = :generation, ends = :ends, #ttl = :ttl",
                "ExpressionAttributeNames": {"#ttl": "ttl"},
                "ExpressionAttributeValues": {
                    ":me": {"S": who.ulid},
                    ":generation": {"N": str(who.generation)},
                    ":now": {"N": str(now)},
                    ":ends": {"N": str(now + seconds * 1000)},
                    ":ttl": {"N": str(now // 1000 + seconds + _SPARE_S)},
                },
            }
            for who, digest in digests.items()
        ]
        found = update_each(self._client, updates)
        return [_answer(item, who) for item, who in zip(found, digests, strict=True)]

    def release(self, tenant: str, template: str, digests: Mapping[Claimant, str | None]) -> None:
        """End the marks that messages hold, of their generation or an earlier one.

        digests: None where the content is not known; its mark is looked for among all of the template and recipient.
        Raises: StoreError; what the client raises.
        """
        keys = [
            (who, _key(tenant, template, who.tag, known))
            for who, digest in digests.items()
            for known in ([digest] if digest is not None else self._held(tenant, template, who))
        ]
        updates = [
            self._update(key, _MINE)
            | {
                "UpdateExpression": "SET ends = :free",
                "ExpressionAttributeValues": {
                    ":me": {"S": who.ulid},
                    ":generation": {"N": str(who.generation)},
                    ":free": {"N": "0"},
                },
            }
            for who, key in keys
        ]
        update_each(self._client, updates)

    def _held(self, tenant: str, template: str, who: Claimant) -> list[str]:
        """The contents that a message holds: at most one, unless the template was changed in between."""
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            FilterExpression="message = :me AND ends > :free",
            ExpressionAttributeValues={
                ":pk": {"S": _partition(tenant, template, who.tag)},
                ":me": {"S": who.ulid},
                ":free": {"N": "0"},
            },
            ConsistentRead=True,
        )
        return [item["sk"]["S"] for item in found]

    def _update(self, key: dict[str, Any], condition: str) -> Update:
        return {
            "TableName": self._table,
            "Key": key,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _answer(there: Mapping[str, Any] | None, who: Claimant) -> Claim:
    if there is None:
        return Claim(Answer.TAKEN)
    message, ends = there["message"]["S"], int(there["ends"]["N"])
    return Claim(Answer.HAD) if message == who.ulid else Claim(Answer.REFUSED, message, ends)


def _partition(tenant: str, template: str, tag: str) -> str:
    return f"duplicate#{tenant}#{template}#{tag}"


def _key(tenant: str, template: str, tag: str, digest: str) -> dict[str, Any]:
    return {"pk": {"S": _partition(tenant, template, tag)}, "sk": {"S": digest}}
