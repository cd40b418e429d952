"""The ledger of envelopes: who works on one, which recipients are in flight, and what became of each.

One item per envelope in the guard table. Every write is conditional, so of two consumers of one envelope only one gets
on, and one that has lost its lease can change nothing any more.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from shared.model.clock import Clock
from shared.model.events import EventRow
from shared.store.dynamo import batch_get

TTL_S = 15 * 86400
"""Longer than a queue keeps a message (14 days), so that no redelivery finds its ledger gone."""

Flight = Mapping[str, Sequence[int]]
"""Recipients that are handed to a provider, by account id: from before the call until its outcome is recorded."""

_PREFIX = "envelope#"
_NEW = "attribute_not_exists(pk)"
_ROWS: TypeAdapter[list[EventRow]] = TypeAdapter(list[EventRow])


class HeldError(Exception):
    """Another invocation works on the envelope."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds of an envelope.

    owner: who had the lease last. lease: when it ends, in milliseconds since the epoch. rows: recipients that are done
    with in this envelope. flight: those whose outcome was not recorded. closed: nothing more will be sent from it.
    """

    owner: str
    lease: int
    rows: list[EventRow] = field(default_factory=list)
    flight: Flight = field(default_factory=dict)
    closed: bool = False


class Ledger:
    """Ledger items in the guard table."""

    def __init__(self, client: Any, table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def acquire(self, envelope_id: str, entry: Entry) -> Entry | None:
        """Open an envelope's ledger with `entry`; None when that is done, else the entry that was there before."""
        return self._write(envelope_id, entry, _NEW, {})

    def acquire_all(self, entries: Mapping[str, Entry]) -> dict[str, Entry | None]:
        """Acquire the ledgers of several envelopes (up to 100) in one request; answers as `acquire` does, by id.

        A transaction costs twice the units of its writes and saves all requests but one. It holds for all or for none,
        so when one envelope is known already each is acquired by itself.
        """
        if len(entries) > 1:
            writes = [{"Update": self._update(id, entry, _NEW, {})} for id, entry in entries.items()]
            try:
                self._client.transact_write_items(TransactItems=writes)
            except self._client.exceptions.TransactionCanceledException:
                pass
            else:
                return dict.fromkeys(entries)
        return {id: self.acquire(id, entry) for id, entry in entries.items()}

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> None:
        """Replace the entry `seen`, whose lease has ended. Raises: HeldError when somebody was faster."""
        values = {":seen": {"S": seen.owner}, ":ended": {"N": str(seen.lease)}}
        condition = "#owner = :seen AND lease = :ended AND attribute_not_exists(closed)"
        if self._write(envelope_id, entry, condition, values) is not None:
            raise HeldError

    def record(self, envelope_id: str, entry: Entry) -> None:
        """Write `entry` as long as its owner has the lease. Raises: HeldError when somebody took it over."""
        if self._write(envelope_id, entry, "#owner = :owner AND attribute_not_exists(closed)", {}) is not None:
            raise HeldError

    def read(self, envelope_id: str) -> Entry | None:
        """The entry of an envelope, if it was ever worked on."""
        item = self._client.get_item(TableName=self._table, Key=_key(envelope_id), ConsistentRead=True).get("Item")
        return None if item is None else _entry(item)

    def read_all(self, envelope_ids: Sequence[str]) -> dict[str, Entry]:
        """The entries of those envelopes that were ever worked on, by id."""
        keys = [_key(id) for id in dict.fromkeys(envelope_ids)]
        items = batch_get(self._client, self._table, keys, consistent=True)
        return {item["pk"]["S"].removeprefix(_PREFIX): _entry(item) for item in items}

    def _write(self, envelope_id: str, entry: Entry, condition: str, values: dict[str, Any]) -> Entry | None:
        """Write conditionally; None when it is written, else what is there instead."""
        try:
            self._client.update_item(**self._update(envelope_id, entry, condition, values))
        except self._client.exceptions.ConditionalCheckFailedException as error:
            there = _entry(error.response.get("Item") or {})
            # The client repeats a write whose answer was lost, and then meets its own.
            return None if there == entry else there
        return None

    def _update(self, envelope_id: str, entry: Entry, condition: str, values: dict[str, Any]) -> dict[str, Any]:
        sets = "#owner = :owner, lease = :lease, #rows = :rows, flight = :flight, #ttl = :ttl"
        values = values | {
            ":owner": {"S": entry.owner},
            ":lease": {"N": str(entry.lease)},
            ":rows": {"B": zlib.compress(to_json(entry.rows), 1)},
            ":flight": {"B": to_json(entry.flight)},
            ":ttl": {"N": str(self._clock.now_ms() // 1000 + TTL_S)},
        }
        if entry.closed:
            sets += ", closed = :closed"
            values[":closed"] = {"BOOL": True}
        return {
            "TableName": self._table,
            "Key": _key(envelope_id),
            "UpdateExpression": f"SET {sets}",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#owner": "owner", "#rows": "rows", "#ttl": "ttl"},
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _entry(item: Mapping[str, Any]) -> Entry:
    # The item can be gone between the check and the answer only by its time to live, days after its last use.
    if not item:
        return Entry("", 0)
    return Entry(
        owner=item["owner"]["S"],
        lease=int(item["lease"]["N"]),
        rows=_ROWS.validate_json(zlib.decompress(item["rows"]["B"])),
        flight=from_json(item["flight"]["B"]),
        closed="closed" in item,
    )


def _key(envelope_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"{_PREFIX}{envelope_id}"}, "sk": {"S": "ledger"}}
