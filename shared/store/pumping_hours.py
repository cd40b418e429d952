"""What is usual of prefixes: the first start of an hour sums the hours before it up, for its first four digits."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from shared.model.clock import Clock
from shared.model.pumping import HourCounts, UsualTable
from shared.policy.pumping import HOUR_MS
from shared.policy.pumping_usual import USUAL_DAYS, hour_counts, usual_at
from shared.store.dynamo import Item, batch_get, batch_put
from shared.store.pumping import HOURS_S, SEEN_S, Pumping, Seen, partition

CLAIM_MS: Final = 60_000
"""So long whoever sums up has it to themselves."""
MOST_HOURS: Final = 24
"""Of what is summed up at once; after longer silence the hours before were empty."""


class _Claim(Struct, frozen=True):
    first: int
    """The first hour of which anything is known."""
    rolled: int
    """Hours before it are summed up; 0 if none is."""


class PumpingHours:
    """Sums hours up; thread-safe."""

    def __init__(self, client: Any, table: str, pumping: Pumping, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._pumping = pumping
        self._clock = clock

    def roll(self, tenant: str, prefix: str, country: str | None, now: int) -> UsualTable | None:
        """Work out what is usual at this hour, unless that is done, or somebody is at it: None then.

        prefix: the first four digits. It takes about six requests, once an hour. Done twice, it comes to the same.
        Raises: what the client raises; StoreError.
        """
        hour = now // HOUR_MS
        claim = self._claim(tenant, prefix, hour, now)
        if claim is None:
            return None
        # Approvals of the hour before the last one came late.
        since = max(claim.rolled - 2 if claim.rolled else claim.first, hour - MOST_HOURS)
        hours = self._history(tenant, prefix, hour, since)
        recent = self._pumping.minutes(tenant, prefix, 60 * since, 60 * hour - 1)
        for each in range(since, hour):
            hours[each] = hour_counts(each, recent, hours)
        self._keep(tenant, prefix, {each: hours[each] for each in range(since, hour) if hours[each].day})
        table = usual_at(hour, hours, claim.first)
        self._finish(tenant, Seen(prefix, country, hour), table)
        return table

    def _claim(self, tenant: str, prefix: str, hour: int, now: int) -> _Claim | None:
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_usual_key(tenant, prefix),
                UpdateExpression="SET claimed = :now, #first = if_not_exists(#first, :hour)",
                ConditionExpression="(attribute_not_exists(rolled) OR rolled < :hour)"
                " AND (attribute_not_exists(claimed) OR claimed < :free)",
                ExpressionAttributeNames={"#first": "first"},
                ExpressionAttributeValues={
                    ":now": {"N": str(now)},
                    ":free": {"N": str(now - CLAIM_MS)},
                    ":hour": {"N": str(hour)},
                },
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        item = answer["Attributes"]
        return _Claim(int(item["first"]["N"]), int(item["rolled"]["N"]) if "rolled" in item else 0)

    def _history(self, tenant: str, prefix: str, hour: int, since: int) -> dict[int, HourCounts]:
        """The hours that are needed: of the last two days, and about this one on the days before."""
        wanted = {hour - back for back in range(1, 2 * MOST_HOURS)}
        wanted |= {hour - back - 24 * day for day in range(1, USUAL_DAYS + 1) for back in (0, 1)}
        keys = [_hour_key(tenant, prefix, each) for each in sorted(wanted) if each < since]
        found = batch_get(self._client, self._table, keys, consistent=True) if keys else []
        return {int(item["sk"]["S"][5:]): msgspec.json.decode(item["d"]["S"], type=HourCounts) for item in found}

    def _keep(self, tenant: str, prefix: str, hours: dict[int, HourCounts]) -> None:
        items = [
            {
                **_hour_key(tenant, prefix, hour),
                "d": {"S": msgspec.json.encode(counts).decode()},
                "ttl": {"N": str(hour * 3600 + HOURS_S)},
            }
            for hour, counts in hours.items()
        ]
        if items:
            batch_put(self._client, self._table, items)

    def _finish(self, tenant: str, seen: Seen, table: UsualTable) -> None:
        """Keep what is usual, then say that the partition is in use."""
        self._client.update_item(
            TableName=self._table,
            Key=_usual_key(tenant, seen.prefix),
            UpdateExpression="SET d = :d, rolled = :hour REMOVE claimed",
            ExpressionAttributeValues={
                ":d": {"S": msgspec.json.encode(table).decode()},
                ":hour": {"N": str(seen.hour)},
            },
        )
        item = {
            "pk": {"S": f"pumping#{tenant}"},
            "sk": {"S": f"seen#{seen.prefix}"},
            "d": {"S": msgspec.json.encode(seen).decode()},
            "ttl": {"N": str(seen.hour * 3600 + SEEN_S)},
        }
        self._client.put_item(TableName=self._table, Item=item)


def _usual_key(tenant: str, prefix: str) -> Item:
    return {"pk": {"S": partition(tenant, prefix)}, "sk": {"S": "usual"}}


def _hour_key(tenant: str, prefix: str, hour: int) -> Item:
    return {"pk": {"S": partition(tenant, prefix)}, "sk": {"S": f"hour#{hour:08d}"}}
