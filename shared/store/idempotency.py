"""Idempotency records: a request repeated under its key gets the same ids, and so the same answer."""

from dataclasses import dataclass
from typing import Any

from shared.model.clock import Clock

TTL_S = 86_400
IN_PROGRESS_MS = 30_000
"""As long as API Gateway waits for an answer: a claim older than this has no one working on it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request's base and template version, as first claimed.

    mine: claimed just now. done: carried out before. busy: someone else is at it. same_body: of an earlier claim.
    """

    base: str
    version: int
    mine: bool = False
    done: bool = False
    busy: bool = False
    same_body: bool = True


class Idempotency:
    """Claims in the guard table, kept for 24 hours."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def claim(self, tenant: str, key: str, body_hash: str, base: str, version: int) -> Claim:
        """Claim `base` and `version` for a key, or find what it was claimed for before.

        An earlier claim that was left unfinished is taken over, with its own base.
        """
        now = self._clock.now_ms()
        item = {
            **_key(tenant, key),
            "base": {"S": base},
            "version": {"N": str(version)},
            "body": {"S": body_hash},
            "at": {"N": str(now)},
            "ttl": {"N": str(now // 1000 + TTL_S)},
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                # DynamoDB may keep an item for days after its time: look at the time itself.
                ConditionExpression="attribute_not_exists(pk) OR #ttl < :now",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={":now": {"N": str(now // 1000)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            earlier = error.response["Item"]
            # The client repeats a write whose answer was lost, and then meets its own.
            if earlier["base"]["S"] != base:
                return self._earlier(earlier, tenant, key, body_hash)
        return Claim(base, version, mine=True)

    def find(self, tenant: str, key: str, body_hash: str) -> Claim | None:
        """What a key was claimed for with this body, if it was carried out."""
        answer = self._client.get_item(TableName=self._table, Key=_key(tenant, key), ConsistentRead=True)
        item = answer.get("Item")
        if item is None or item["body"]["S"] != body_hash or "done" not in item:
            return None
        return Claim(item["base"]["S"], int(item["version"]["N"]), done=True)

    def _earlier(self, item: dict[str, Any], tenant: str, key: str, body_hash: str) -> Claim:
        claim = Claim(item["base"]["S"], int(item["version"]["N"]), same_body=item["body"]["S"] == body_hash)
        if not claim.same_body:
            return claim
        if "done" in item:
            return Claim(claim.base, claim.version, done=True)
        at, now = item["at"]["N"], self._clock.now_ms()
        if now - int(at) < IN_PROGRESS_MS:
            return Claim(claim.base, claim.version, busy=True)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(tenant, key),
                UpdateExpression="SET #at = :now",
                ConditionExpression="#at = :old AND attribute_not_exists(done)",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":now": {"N": str(now)}, ":old": {"N": at}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return Claim(claim.base, claim.version, busy=True)
        return Claim(claim.base, claim.version, mine=True)

    def finish(self, tenant: str, key: str, *, done: bool) -> None:
        """Mark a claim carried out, or leave it open for the next try at once."""
        value = {":x": {"BOOL": True}} if done else {":x": {"N": "0"}}
        self._client.update_item(
            TableName=self._table,
            Key=_key(tenant, key),
            UpdateExpression="SET #field = :x",
            ExpressionAttributeNames={"#field": "done" if done else "at"},
            ExpressionAttributeValues=value,
        )


def _key(tenant: str, key: str) -> dict[str, Any]:
    return {"pk": {"S": f"idempotency#{tenant}#{key}"}, "sk": {"S": "claim"}}
