"""Marks of the watch in the counters table: what a sweep found, and where it is to go on.

| pk | sk | holds |
|---|---|---|
| `watch#sweep` | `mark` | the last sweep |
| `watch#hours#<tenant>` | `<hour>` | what was found in an hour whose messages have not all come to an end |
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.model.base import Model
from shared.store.dynamo import Item, query_all

_SWEEP: Item = {"pk": {"S": "watch#sweep"}, "sk": {"S": "mark"}}


class Look(Model):
    """What a look into an hour found. Times: milliseconds since the epoch."""

    model_config = ConfigDict(extra="ignore")

    found: dict[str, int] = Field(default_factory=dict)
    """Recipients still in flight, by how they stand."""
    too_long: int = 0
    """How many of them have waited too long."""
    oldest: int | None = None
    """Since when the first of these has been due."""
    again_at: int | None = None
    """When they are worth another look."""
    mended: int = 0
    """Those that have an end now."""

    def add(self, kind: str, count: int, since: int, again_at: int, too_long: bool) -> None:
        """Note recipients in flight that are due since a time."""
        self.found[kind] = self.found.get(kind, 0) + count
        self.again_at = again_at if self.again_at is None else min(self.again_at, again_at)
        if too_long:
            self.too_long += count
            self.oldest = since if self.oldest is None else min(self.oldest, since)


class HourMark(Model):
    """How far the watch is with a cohort hour."""

    model_config = ConfigDict(extra="ignore")

    hour: int
    in_flight: int
    """By the counters."""
    looked_at: int = 0
    """Milliseconds since the epoch."""
    last: Look = Field(default_factory=Look)
    """The last whole look."""
    running: Look | None = None
    """The one that is under way, with the bucket and the request after which it goes on; None between two looks."""
    bucket: int = 0
    after: str = ""


class SweepMark(Model):
    """The last sweep."""

    model_config = ConfigDict(extra="ignore")

    at: int
    """When it began."""
    ms: int = 0
    """How long it took."""
    whole_at: int = 0
    """When all hours were last read, to the end (ms since the epoch)."""
    found: dict[str, int] = Field(default_factory=dict)
    """What is stuck, by kind."""
    mended: dict[str, int] = Field(default_factory=dict)
    """What it did about it."""
    too_long: int = 0
    """Messages in flight for too long."""
    no_receipt: dict[str, int] = Field(default_factory=dict)
    """Of the sweep that counts them, once a day: messages of yesterday without a receipt, by `<tenant>/<account>`."""
    unfinished: bool = False
    """It ran out of time."""
    failed: list[str] = Field(default_factory=list)
    """The parts that broke off."""


class Marks:
    """Reads and writes the marks."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def sweep(self) -> SweepMark | None:
        """The last sweep, if there was one."""
        item = self._client.get_item(TableName=self._table, Key=_SWEEP, ConsistentRead=True).get("Item")
        return None if item is None else SweepMark.model_validate_json(item["doc"]["S"])

    def write_sweep(self, mark: SweepMark) -> None:
        """Replace the last sweep."""
        self._put(_SWEEP, mark)

    def hours(self, tenant: str) -> dict[int, HourMark]:
        """A tenant's hours that were looked into and have messages in flight."""
        found = query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"watch#hours#{tenant}"}},
            ConsistentRead=True,
        )
        marks = (HourMark.model_validate_json(item["doc"]["S"]) for item in found)
        return {mark.hour: mark for mark in marks}

    def write_hour(self, tenant: str, mark: HourMark) -> None:
        """Replace what is known of an hour."""
        self._put(_hour_key(tenant, mark.hour), mark)

    def forget_hour(self, tenant: str, hour: int) -> None:
        """An hour balances: nothing more is to be known of it."""
        self._client.delete_item(TableName=self._table, Key=_hour_key(tenant, hour))

    def _put(self, key: Item, mark: BaseModel) -> None:
        self._client.put_item(TableName=self._table, Item={**key, "doc": {"S": mark.model_dump_json()}})


def _hour_key(tenant: str, hour: int) -> Item:
    return {"pk": {"S": f"watch#hours#{tenant}"}, "sk": {"S": f"{hour:08d}"}}
