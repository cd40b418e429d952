"""The ledger of envelopes: who works on one, which recipients are in flight, and what became of each.

One item per envelope in the guard table. Every write is conditional, so of two consumers of one envelope only one gets
on, and one that has lost its lease can change nothing any more.

Whoever recalls messages marks them in the same item. Each write of a consumer names the marks that it knows, so none
gets past one that it has not seen.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger
from msgspec import Struct, field
from msgspec.structs import replace
from pydantic_core import from_json, to_json

from shared.aws.errors import AWS_ERRORS
from shared.base.logs import log_error
from shared.errors import LostError
from shared.model import wire
from shared.model.clock import Clock
from shared.model.events import EventRow, read_rows
from shared.store.dynamo import batch_get

logger = Logger(child=True)

TTL_S = 15 * 86400
"""Longer than a queue keeps a message (14 days), so that no redelivery finds its ledger gone."""

Flight = Mapping[str, Sequence[int]]
"""Recipients that are handed to a provider, by account id: from before the call until its outcome is recorded."""


class Mark(NamedTuple):
    """A recipient is recalled: since when (milliseconds since the epoch), and by which key (its id)."""

    at: int
    by: str


Marks = Mapping[int, Mark]
"""Recalled recipients of an envelope."""

_PREFIX = "envelope#"
_NEW = "attribute_not_exists(pk)"
_UNOWNED = "attribute_not_exists(#owner)"
_OPEN = "attribute_not_exists(closed)"
_UNMARKED = "attribute_not_exists(recalled)"
_AS_MARKED = "recalled = :recalled"


class HeldError(LostError):
    """Another invocation works on the envelope."""


class Entry(Struct, frozen=True):
    """What the ledger holds of an envelope."""

    owner: str
    """Who had the lease last; empty if nobody ever had."""
    lease: int
    """When it ends, in milliseconds since the epoch."""
    rows: list[EventRow] = field(default_factory=list)
    """Recipients that are done with in this envelope."""
    flight: Flight = field(default_factory=dict)
    """Those whose outcome was not recorded."""
    closed: bool = False
    """Nothing more will be sent from it."""
    recalled: Marks = field(default_factory=dict)
    """The marks that were found; in an entry to be written, those that were seen."""

    def in_flight(self) -> dict[int, str]:
        """Recipients whose outcome was not recorded -> the account."""
        return {i: account for account, found in self.flight.items() for i in found}


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
        so when one envelope is known already, or when nothing was heard of it, each is acquired by itself: that tells
        apart who has it, and finds what the transaction did after all. Envelopes for which that fails are left out of
        the answer, and may have been acquired: `acquire` says so when it is asked again with the same entry.
        """
        found: dict[str, Entry | None] = {}
        try:
            if len(entries) > 1 and self._open_together(entries):
                return dict.fromkeys(entries)
            for id, entry in entries.items():
                found[id] = self.acquire(id, entry)
        except AWS_ERRORS as error:
            log_error(logger, "not all envelopes acquired yet", error)
        return found

    def _open_together(self, entries: Mapping[str, Entry]) -> bool:
        """Whether a transaction is known to have opened all ledgers."""
        writes = [{"Update": self._update(id, entry, _NEW, {})} for id, entry in entries.items()]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException:
            return False
        except AWS_ERRORS as error:
            log_error(logger, "envelopes not acquired together", error)
            return False
        return True

    def take_over(self, envelope_id: str, seen: Entry, entry: Entry) -> Entry | None:
        """Replace the entry `seen`, whose lease has ended or never was; its marks stay.

        Returns None when that is done, else the entry as it is since: it has got other marks, or its owner is alive
        against all expectation (a clock that went wrong, a process that was held up) and has handed over others in the
        meantime. Raises: HeldError when somebody was faster.
        """
        values: dict[str, Any] = {}
        condition = _UNOWNED
        if seen.owner:
            values = {":seen": {"S": seen.owner}, ":ended": {"N": str(seen.lease)}, ":went": _flight(seen)}
            condition = "#owner = :seen AND lease = :ended AND flight = :went"
        there = self._write(envelope_id, entry, f"{condition} AND {_OPEN}", values)
        return _unheld(there, seen)

    def record(self, envelope_id: str, entry: Entry) -> Entry | None:
        """Write `entry` as long as its owner has the lease.

        Returns None when that is done, else the entry that has got other marks since. Raises: HeldError when somebody
        took it over.
        """
        there = self._write(envelope_id, entry, f"#owner = :owner AND {_OPEN}", {})
        return _unheld(there, entry)

    def mark(self, envelope_id: str, marks: Marks, due_at: int, seen: Entry | None) -> Entry:
        """Mark recipients of an open ledger as recalled, beside those that are marked already.

        due_at: when the envelope is due, in milliseconds since the epoch; the marks outlive every redelivery of it.
        seen: what is there, as far as is known. Returns the entry with the marks, as it is the moment they are there;
        a closed one is returned as it is. Raises: what the table raises.
        """
        while True:
            old: Marks = seen.recalled if seen is not None else {}
            if seen is not None and (seen.closed or marks.keys() <= old.keys()):
                return seen
            new = {**marks, **old}
            until = max(self._clock.now_ms(), due_at) // 1000 + TTL_S
            values = {":new": {"B": _marks_json(new)}, ":ttl": {"N": str(until)}}
            if old:
                values[":recalled"] = {"B": _marks_json(old)}
            try:
                before = self._client.update_item(
                    TableName=self._table,
                    Key=_key(envelope_id),
                    UpdateExpression="SET recalled = :new, #ttl = :ttl",
                    ConditionExpression=f"{_OPEN} AND {_AS_MARKED if old else _UNMARKED}",
                    ExpressionAttributeNames={"#ttl": "ttl"},
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_OLD",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                seen = _entry(error.response.get("Item") or {})
            else:
                return replace(_entry(before.get("Attributes") or {}), recalled=new)

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
            # The client repeats a write whose answer was lost, and then meets its own. Who was marked in between was
            # marked after it, and is found by the next write.
            return None if replace(there, recalled=entry.recalled) == entry else there
        return None

    def _update(self, envelope_id: str, entry: Entry, condition: str, values: dict[str, Any]) -> dict[str, Any]:
        sets = "#owner = :owner, lease = :lease, #rows = :rows, flight = :flight, #ttl = :ttl"
        values = values | {
            ":owner": {"S": entry.owner},
            ":lease": {"N": str(entry.lease)},
            ":rows": {"B": zlib.compress(wire.write(entry.rows), 1)},
            ":flight": _flight(entry),
            ":ttl": {"N": str(self._clock.now_ms() // 1000 + TTL_S)},
        }
        if entry.recalled:
            condition += f" AND {_AS_MARKED}"
            values[":recalled"] = {"B": _marks_json(entry.recalled)}
        else:
            condition += f" AND {_UNMARKED}"
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


def _flight(entry: Entry) -> dict[str, bytes]:
    """Who is in flight, as it is written; read and written again it is the same. Two waves never are."""
    return {"B": to_json(entry.flight)}


def _unheld(there: Entry | None, mine: Entry) -> Entry | None:
    """What kept a write back, if it was marks alone. Raises: HeldError for anything else."""
    if there is not None and (there.closed or (there.owner, there.lease) != (mine.owner, mine.lease)):
        raise HeldError
    return there


def _entry(item: Mapping[str, Any]) -> Entry:
    recalled = _marks(item["recalled"]["B"]) if "recalled" in item else {}
    # An item without an owner holds marks alone. It can be gone between the check and the answer only by its time to
    # live, days after its last use.
    if "owner" not in item:
        return Entry("", 0, recalled=recalled)
    return Entry(
        owner=item["owner"]["S"],
        lease=int(item["lease"]["N"]),
        rows=read_rows(zlib.decompress(item["rows"]["B"])),
        flight=from_json(item["flight"]["B"]),
        closed="closed" in item,
        recalled=recalled,
    )


def _marks_json(marks: Marks) -> bytes:
    """Always the same for the same marks: they are compared as they are written."""
    return to_json({str(i): marks[i] for i in sorted(marks)})


def _marks(text: bytes) -> Marks:
    return {int(i): Mark(*mark) for i, mark in from_json(text).items()}


def _key(envelope_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"{_PREFIX}{envelope_id}"}, "sk": {"S": "ledger"}}
