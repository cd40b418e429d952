"""Takes a person out of the guard table: marks of theirs go, and what waits or is recorded goes on without them."""

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from functions.erasures.person import Person
from functions.erasures.search.result import Result
from functions.erasures.search.tables import texts_of
from shared.model import wire
from shared.model.clock import Clock
from shared.model.envelope import read_envelope
from shared.model.events import read_rows
from shared.model.ids import ULID_LENGTH
from shared.policy.veiling import finder, veiled_envelope, veiled_rows
from shared.store.dynamo import Item, batch_delete, key_of

LEDGERS, PARKED, DELIVERIES, CLAIMS = "ledgers", "envelopes of paused runs", "webhook deliveries", "idempotency keys"
AWAITING = "envelopes that may still fall back"
MARKS = {"cap": "caps", "duplicate": "duplicates", "rate": "rates", "verification": "verifications"}
"""Kind of partition -> place: those that a recipient's tag ends."""


class GuardItems:
    """Looks at items of the guard table."""

    def __init__(self, client: Any, table: str, clock: Clock, person: Person) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._person = person

    def __call__(self, items: Sequence[Item], result: Result) -> None:
        """Take the person out of some items. Raises: what the table raises."""
        gone: list[Item] = []
        for item in items:
            kind = key_of(item)[0].partition("#")[0]
            if kind in MARKS:
                place = MARKS[kind] if key_of(item)[0].endswith(f"#{self._person.tag}") else None
            elif kind == "deliveries":
                place = DELIVERIES if self._is_told(item) else None
            else:
                place = None
                self._look(kind, item, result)
            if place is not None:
                gone.append({"pk": item["pk"], "sk": item["sk"]})
                result.erased[place] += 1
        batch_delete(self._client, self._table, gone)

    def _is_told(self, item: Item) -> bool:
        return any(map(self._person.tagged, texts_of(item)))

    def _look(self, kind: str, item: Item, result: Result) -> None:
        if kind == "envelope":
            self._ledger(item, result)
        elif kind == "parked":
            self._parked(item, result)
        elif kind == "awaiting":
            self._awaiting(item, result)
        elif kind == "idempotency" and self._is_claim(item):
            # It keeps a repeated request from being sent twice, and is gone within a day.
            result.left[CLAIMS] += 1

    def _is_claim(self, item: Item) -> bool:
        """Whether the caller named a request by the address itself, or by a word that ends with it."""
        pk = item["pk"]["S"]
        if not pk.startswith(f"idempotency#{self._person.tenant}#") or not self._person.may_be_in(pk):
            return False
        expired = int(item["ttl"]["N"]) * 1000 <= self._clock.now_ms()
        return not expired

    def _ledger(self, item: Item, result: Result) -> None:
        """Take the person out of an envelope's rows; while somebody works on it they are left for the next search."""
        if "rows" not in item:
            return
        rows = read_rows(zlib.decompress(item["rows"]["B"]))
        ulid = item["pk"]["S"].partition("#")[2][:ULID_LENGTH]
        changed = veiled_rows(rows, finder(self._person.veils, ulid))
        if all(new is old for new, old in zip(changed, rows, strict=True)):
            return
        busy = "closed" not in item and int(item["lease"]["N"]) > self._clock.now_ms()
        data = zlib.compress(wire.write(changed), 1)
        found = result.waiting if busy or not self._replace(item, "rows", data) else result.erased
        found[LEDGERS] += sum(new is not old for new, old in zip(changed, rows, strict=True))

    def _parked(self, item: Item, result: Result) -> None:
        envelope = read_envelope(zlib.decompress(item["body"]["B"]).decode())
        changed = veiled_envelope(envelope, self._person.veils)
        if changed is not envelope:
            data = zlib.compress(changed.to_json().encode(), 1)
            found: Counter[str] = result.erased if self._replace(item, "body", data) else result.waiting
            found[PARKED] += 1

    def _awaiting(self, item: Item, result: Result) -> None:
        """Leave out whoever would fall back to the person, or from them: no other message follows."""
        if "body" not in item:
            return
        envelope = read_envelope(zlib.decompress(item["body"]["B"]).decode())
        veiled = veiled_envelope(envelope, self._person.veils)
        pairs = zip(veiled.recipients, envelope.recipients, strict=True)
        left = [old for new, old in pairs if new is old]
        if veiled is envelope or len(left) == len(envelope.recipients):
            return
        result.erased[AWAITING] += len(envelope.recipients) - len(left)
        if not left:
            batch_delete(self._client, self._table, [{"pk": item["pk"], "sk": item["sk"]}])
            return
        self._replace(item, "body", zlib.compress(replace(envelope, recipients=left).to_json().encode(), 1))

    def _replace(self, item: Item, name: str, data: bytes) -> bool:
        """Replace a part of an item, if it is as it was; whether that is done."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"pk": item["pk"], "sk": item["sk"]},
                UpdateExpression="SET #part = :new",
                ConditionExpression="#part = :seen",
                ExpressionAttributeNames={"#part": name},
                ExpressionAttributeValues={":new": {"B": data}, ":seen": item[name]},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True
