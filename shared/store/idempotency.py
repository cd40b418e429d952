"""Idempotency records: a request repeated under its key gets the same ids, and so the same answer."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from shared.model.clock import Clock
from shared.model.words import KeyKind

TTL_S = 86_400
IN_PROGRESS_MS = 30_000
"""As long as API Gateway waits for an answer: a claim older than this has no one working on it."""


class Slot(NamedTuple):
    """What is claimed."""

    tenant: str
    kind: KeyKind
    """Of the key that asks; keys of each kind have claims of their own, so that what a test key did is never the answer
    to a live one."""
    name: str
    """The Idempotency-Key, or what stands for it."""

    @property
    def key(self) -> dict[str, Any]:
        """Of its item. Live keys' are as they were before the kind was in them."""
        # No name that callers choose has this character, so none is that of another kind.
        mark = "" if self.kind is KeyKind.LIVE else f"\x1d{self.kind}\x1d"
        return {"pk": {"S": f"idempotency#{self.tenant}#{mark}{self.name}"}, "sk": {"S": "claim"}}


class Fingerprint(NamedTuple):
    """What tells a repeat from another request: a hash of what it means."""

    meaning: str
    text: str
    """Of its bytes, by which claims go that were made before meanings were compared."""

    def is_of(self, item: Mapping[str, Any]) -> bool:
        """Whether a claim is of the same request."""
        return item["body"]["S"] in self


class Claim(Struct, frozen=True):
    """A request's base and template version, as first claimed."""

    base: str
    version: int
    mine: bool = False
    """Claimed just now."""
    done: bool = False
    """Carried out before."""
    busy: bool = False
    """Someone else is at it."""
    same_body: bool = True
    """Of an earlier claim."""
    grant: str | None = None
    """The places for texts that it has got, as JSON."""


class Idempotency:
    """Claims in the guard table, kept for 24 hours."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def claim(self, slot: Slot, body: Fingerprint, base: str, version: int, grant: str | None = None) -> Claim:
        """Claim `base` and `version`, or find what the slot was claimed for before.

        grant: the places for texts that a new claim has got already.
        An earlier claim that was left unfinished is taken over, with its own base.
        """
        now = self._clock.now_ms()
        item = {
            **slot.key,
            "base": {"S": base},
            "version": {"N": str(version)},
            "body": {"S": body.meaning},
            "at": {"N": str(now)},
            "ttl": {"N": str(now // 1000 + TTL_S)},
        }
        if grant is not None:
            item["grant"] = {"S": grant}
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
                return self._earlier(earlier, slot, body)
        return Claim(base, version, mine=True, grant=grant)

    def find(self, slot: Slot, body: Fingerprint) -> Claim | None:
        """What a slot was claimed for with this body, if it was carried out."""
        answer = self._client.get_item(TableName=self._table, Key=slot.key, ConsistentRead=True)
        item = answer.get("Item")
        if item is None or not body.is_of(item) or "done" not in item:
            return None
        return Claim(item["base"]["S"], int(item["version"]["N"]), done=True, grant=_grant(item))

    def _earlier(self, item: dict[str, Any], slot: Slot, body: Fingerprint) -> Claim:
        claim = Claim(item["base"]["S"], int(item["version"]["N"]), same_body=body.is_of(item))
        if not claim.same_body:
            return claim
        if "done" in item:
            return Claim(claim.base, claim.version, done=True, grant=_grant(item))
        at, now = item["at"]["N"], self._clock.now_ms()
        # A claim of the future was made by a clock that is ahead: nobody is known to be at it.
        if abs(now - int(at)) < IN_PROGRESS_MS:
            return Claim(claim.base, claim.version, busy=True)
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=slot.key,
                UpdateExpression="SET #at = :now",
                ConditionExpression="#at = :old AND attribute_not_exists(done)",
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":now": {"N": str(now)}, ":old": {"N": at}},
                # Who left it may have got its places since it was looked at.
                ReturnValues="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return Claim(claim.base, claim.version, busy=True)
        return Claim(claim.base, claim.version, mine=True, grant=_grant(answer["Attributes"]))

    def keep(self, slot: Slot, grant: str) -> None:
        """Keep the places for texts that a claimed request has got, before anything of it is queued."""
        self._client.update_item(
            TableName=self._table,
            Key=slot.key,
            UpdateExpression="SET #grant = :grant",
            ExpressionAttributeNames={"#grant": "grant"},
            ExpressionAttributeValues={":grant": {"S": grant}},
        )

    def finish(self, slot: Slot, *, done: bool) -> None:
        """Mark a claim carried out, or leave it open for the next try at once."""
        value = {":x": {"BOOL": True}} if done else {":x": {"N": "0"}}
        self._client.update_item(
            TableName=self._table,
            Key=slot.key,
            UpdateExpression="SET #field = :x",
            ExpressionAttributeNames={"#field": "done" if done else "at"},
            ExpressionAttributeValues=value,
        )


def _grant(item: Mapping[str, Any]) -> str | None:
    found: str | None = item.get("grant", {}).get("S")
    return found
