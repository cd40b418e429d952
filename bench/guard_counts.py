"""The counts of the guard against pumping in memory, and its real store on an in-memory DynamoDB, for a simulation."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.memory.engine import Memory
from shared.aws import clients
from shared.errors import LostError
from shared.model.pumping import SHORTEST, Counts, HourCounts, Recent, Rule, UsualTable, suffixes_of
from shared.policy.pumping import HOUR_MS, MINUTE_MS
from shared.policy.pumping_usual import hour_counts, usual_at
from shared.store.pumping import Overview, Pumping, Seen, approval
from shared.store.pumping_hours import PumpingHours

_KEPT_MINUTES = 60 * 27


class Moved:
    """A clock that stands where it is put. now: milliseconds since the epoch."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        """Where it stands."""
        return self.now


class _Partition:
    """What the first four digits have."""

    def __init__(self) -> None:
        self.minutes: dict[str, dict[int, Counts]] = {"s": {}, "r": {}, "a": {}}
        self.hours: dict[int, HourCounts] = {}
        self.usual = UsualTable()
        self.first = self.rolled = 0

    def add(self, kind: str, digits: str, minute: int, count: int) -> Counts:
        """Count for the four prefixes of a number; returns what they have."""
        counts = self.minutes[kind].setdefault(minute, {})
        for name in suffixes_of(digits):
            counts[name] = counts.get(name, 0) + count
        return {name: counts[name] for name in suffixes_of(digits)}

    def between(self, first: int, last: int) -> Recent:
        """The counts of these minutes, as they are now."""
        started, refused, approved = (
            {minute: dict(counts) for minute, counts in self.minutes[kind].items() if first <= minute <= last}
            for kind in "sra"
        )
        return Recent(started, refused, approved, self.usual)

    def forget(self, before: int) -> None:
        """Drop minutes that nobody reads any more."""
        for counts in self.minutes.values():
            for minute in [each for each in counts if each < before]:
                del counts[minute]


class CountedPumping:
    """As `Pumping`, without a table."""

    def __init__(self) -> None:
        self.partitions: defaultdict[tuple[str, str], _Partition] = defaultdict(_Partition)
        self.rules: defaultdict[str, dict[str, Rule]] = defaultdict(dict)
        self.seen: defaultdict[str, dict[str, Seen]] = defaultdict(dict)
        self.countries: defaultdict[str, set[str]] = defaultdict(set)

    def start(self, tenant: str, digits: str, now: int) -> Counts:
        """See `Pumping`."""
        return self.of(tenant, digits).add("s", digits, now // MINUTE_MS, 1)

    def refuse(self, tenant: str, digits: str, now: int, counted: int | None = None) -> None:
        """See `Pumping`."""
        self.of(tenant, digits).add("r", digits, now // MINUTE_MS, 1)
        if counted is not None:
            self.of(tenant, digits).add("s", digits, counted // MINUTE_MS, -1)

    def approve(self, tenant: str, digits: str, started_at: int, texts: int) -> None:
        """What a check counts."""
        self.of(tenant, digits).add("a", digits, started_at // MINUTE_MS, texts)

    def recent(self, tenant: str, prefix: str, now: int) -> Recent:
        """See `Pumping`."""
        minute = now // MINUTE_MS
        return self.of(tenant, prefix).between(minute - 60, minute)

    def overview(self, tenant: str) -> Overview:
        """See `Pumping`."""
        return Overview(dict(self.rules[tenant]), dict(self.seen[tenant]), frozenset(self.countries[tenant]))

    def change(self, tenant: str, before: Rule | None, after: Rule, record: Any) -> None:
        """See `Pumping`."""
        if self.rules[tenant].get(after.prefix) != before:
            raise LostError
        self.rules[tenant][after.prefix] = after

    def admit(self, tenant: str, country: str, record: Any) -> None:
        """See `Pumping`."""
        self.countries[tenant].add(country)

    def of(self, tenant: str, digits: str) -> _Partition:
        """The partition of a number."""
        return self.partitions[tenant, digits[:SHORTEST]]


class CountedHours:
    """As `PumpingHours`, without a table."""

    def __init__(self, pumping: CountedPumping) -> None:
        self._pumping = pumping

    def roll(self, tenant: str, prefix: str, country: str | None, now: int) -> UsualTable | None:
        """See `PumpingHours`."""
        found, hour = self._pumping.of(tenant, prefix), now // HOUR_MS
        found.first = found.first or hour
        since = max(found.rolled - 2 if found.rolled else found.first, hour - 24)
        recent = found.between(60 * since, 60 * hour - 1)
        for each in range(since, hour):
            found.hours[each] = hour_counts(each, recent, found.hours)
        found.usual = usual_at(hour, found.hours, found.first)
        found.rolled = hour
        found.forget(60 * hour - _KEPT_MINUTES)
        for old in [each for each in found.hours if each < hour - 8 * 24]:
            del found.hours[old]
        self._pumping.seen[tenant][prefix] = Seen(prefix, country, hour)
        return found.usual


class _Approving(Pumping):
    """The real store, which counts an approval by itself: there is no verification that it belongs to."""

    def approve(self, tenant: str, digits: str, started_at: int, texts: int) -> None:
        """As the write that approves does it."""
        update = approval(self._table, tenant, digits[:7], started_at, texts, started_at)
        self._client.transact_write_items(TransactItems=[update])


@contextmanager
def real_store(clock: Moved) -> Iterator[tuple[Pumping, PumpingHours]]:
    """The real store, on tables in memory."""
    memory = Memory(clock)
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    for name in ("guard", "catalog"):
        memory.dynamodb.adopt({"TableName": name, "KeySchema": keys, "AttributeDefinitions": types})
    with memory.attached():
        client = clients.client("dynamodb")
        pumping = _Approving(client, "guard", "catalog", clock)
        yield pumping, PumpingHours(client, "guard", pumping, clock)
