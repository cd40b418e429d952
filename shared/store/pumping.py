"""What the guard against SMS pumping counts and keeps, in the guard table.

| pk | sk | holds |
|---|---|---|
| `pumping#<t>#<first 4 digits>` | `hour#<hour>` | what was started and approved in an hour, by prefix; 9 days |
| | `minute#<minute>#s` | starts of a minute, `s` and the suffix, and refused ones, `r`; 2 days |
| | `minute#<minute>#<0..3>` | approvals of what was started in the minute: `a` and the suffix |
| | `usual` | what is usual at the present hour |
| `pumping#<t>` | `country#<country>` | that the tenant has sent codes there |
| | `rule#<prefix>` | what was decided of a prefix |
| | `seen#<first 4 digits>` | that there is such a partition; 30 days |
| `pumping#<t>#bind#<digest>` | `hour#<hour>` | starts with a `bind` |
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from shared.errors import LostError
from shared.model.audit import AuditRecord
from shared.model.clock import Clock
from shared.model.pumping import LONGEST, SHORTEST, Counts, Recent, Rule, UsualTable, suffixes_of
from shared.policy.pumping import HOUR_MS, MINUTE_MS
from shared.store.audit import audit_put
from shared.store.catalog_items import CatalogConflictError, conflicts
from shared.store.dynamo import Item, query_all

STARTED, REFUSED, APPROVED = "s", "r", "a"
"""How attributes begin; the suffix of a prefix follows."""
SHARDS: Final = 4
"""Items that a minute's approvals are spread over, so that they seldom meet."""
MINUTES_S: Final = 2 * 86_400
HOURS_S: Final = 9 * 86_400
SEEN_S: Final = 30 * 86_400
BIND_S: Final = 2 * 3_600
_RULE_S: Final = 86_400
"""How long rules are kept after their time."""


class Seen(Struct, frozen=True):
    """That codes go to numbers with these first digits."""

    prefix: str
    country: str | None
    hour: int
    """When one was started last, in hours since the epoch."""


class Overview(Struct, frozen=True):
    """What is kept of a tenant beside its counts."""

    rules: dict[str, Rule] = field(default_factory=dict)
    """By prefix."""
    seen: dict[str, Seen] = field(default_factory=dict)
    """By first digits."""
    countries: frozenset[str] = frozenset()


class Pumping:
    """Counts starts and approvals by prefix, and keeps rules; thread-safe."""

    def __init__(self, client: Any, table: str, catalog_table: str, clock: Clock) -> None:
        self._client = client
        self._table = table
        self._catalog = catalog_table
        self._clock = clock

    def start(self, tenant: str, digits: str, now: int) -> Counts:
        """Count a start; returns what its four prefixes have in this minute, with it. One request.

        Raises: what the client raises.
        """
        names = suffixes_of(digits)
        asked = _adding([(STARTED + name, 1) for name in names], now // 1000 + MINUTES_S)
        key = _minute_key(tenant, digits, now // MINUTE_MS)
        answer = self._client.update_item(TableName=self._table, Key=key, ReturnValues="UPDATED_NEW", **asked)
        return {name: int(answer["Attributes"][STARTED + name]["N"]) for name in names}

    def refuse(self, tenant: str, digits: str, now: int, counted: int | None = None) -> None:
        """Count one that is refused. counted: when it was counted as a start, which it is no more.

        Raises: what the client raises.
        """
        names = suffixes_of(digits)
        changes = [(REFUSED + name, 1) for name in names]
        changes += [(STARTED + name, -1) for name in names] if counted is not None else []
        key = _minute_key(tenant, digits, (now if counted is None else counted) // MINUTE_MS)
        self._client.update_item(TableName=self._table, Key=key, **_adding(changes, now // 1000 + MINUTES_S))

    def recent(self, tenant: str, prefix: str, now: int) -> Recent:
        """What the first four digits had in the last hour, and what is usual. One request as a rule."""
        first = now // MINUTE_MS - HOUR_MS // MINUTE_MS
        items = self._client_query(partition(tenant, prefix), f"minute#{first:010d}", "usual")
        return read_recent(items)

    def minutes(self, tenant: str, prefix: str, first: int, last: int) -> Recent:
        """What the first four digits had in these minutes since the epoch."""
        items = self._client_query(partition(tenant, prefix), f"minute#{first:010d}", f"minute#{last:010d}#~")
        return read_recent(items)

    def overview(self, tenant: str) -> Overview:
        """A tenant's rules, prefixes and countries. One request as a rule."""
        found = Overview(countries=frozenset())
        countries = set()
        for item in self._client_query(_tenant(tenant), "", "~"):
            kind, _, name = item["sk"]["S"].partition("#")
            if kind == "rule":
                found.rules[name] = msgspec.json.decode(item["d"]["S"], type=Rule)
            elif kind == "seen":
                found.seen[name] = msgspec.json.decode(item["d"]["S"], type=Seen)
            elif kind == "country":
                countries.add(name)
        return Overview(found.rules, found.seen, frozenset(countries))

    def change(self, tenant: str, before: Rule | None, after: Rule | None, record: AuditRecord) -> None:
        """Replace a prefix's rule, with its record in the audit log, or neither.

        Raises: LostError if it is not as it was before; what the client raises.
        """
        found = after or before
        if found is None:
            return
        key = {"pk": {"S": _tenant(tenant)}, "sk": {"S": f"rule#{found.prefix}"}}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if before is not None:
            condition = {
                "ConditionExpression": "since = :since AND #state = :state",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":since": {"N": str(before.since)}, ":state": {"S": before.state.value}},
            }
        if after is None:
            action: Item = {"Delete": {"TableName": self._table, "Key": key, **condition}}
        else:
            action = {"Put": {"TableName": self._table, "Item": {**key, **_rule(after)}, **condition}}
        self._together(action, record)

    def admit(self, tenant: str, country: str, record: AuditRecord) -> None:
        """Note that codes go to a country, with its record in the audit log.

        Raises: LostError if that is noted already; what the client raises.
        """
        item = {"pk": {"S": _tenant(tenant)}, "sk": {"S": f"country#{country}"}, "at": {"N": str(record.at)}}
        put = {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        self._together({"Put": put}, record)

    def bound(self, tenant: str, digest: str, now: int) -> int:
        """Count a start with a `bind`; returns how many there are in this hour, with it. One request."""
        key = {"pk": {"S": f"{_tenant(tenant)}#bind#{digest}"}, "sk": {"S": f"hour#{now // HOUR_MS:08d}"}}
        asked = _adding([("count", 1)], now // 1000 + BIND_S)
        answer = self._client.update_item(TableName=self._table, Key=key, ReturnValues="UPDATED_NEW", **asked)
        return int(answer["Attributes"]["count"]["N"])

    def _together(self, action: Item, record: AuditRecord) -> None:
        try:
            with conflicts():
                self._client.transact_write_items(TransactItems=[action, audit_put(self._catalog, record)])
        except CatalogConflictError:
            raise LostError from None

    def _client_query(self, pk: str, first: str, last: str) -> Iterable[Item]:
        return query_all(
            self._client,
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={":pk": {"S": pk}, ":first": {"S": first or "!"}, ":last": {"S": last}},
            ConsistentRead=True,
        )


def approval(table: str, tenant: str, prefix: str, started_at: int, count: int, now: int) -> Item:
    """The part of a transaction that counts an approval for a prefix of seven digits.

    started_at: of the verification, in milliseconds since the epoch. count: how many texts it took.
    """
    shard = started_at % SHARDS
    key = _minute_key(tenant, prefix, started_at // MINUTE_MS, str(shard))
    changes = [(APPROVED + name, count) for name in suffixes_of(prefix)]
    return {"Update": {"TableName": table, "Key": key, **_adding(changes, now // 1000 + MINUTES_S)}}


def partition(tenant: str, digits: str) -> str:
    """The partition of a number's or prefix's first four digits."""
    return f"{_tenant(tenant)}#{digits[:SHORTEST]}"


def read_recent(items: Iterable[Item]) -> Recent:
    """The counts that items of a partition hold."""
    by_kind: dict[str, dict[int, Counts]] = {STARTED: {}, REFUSED: {}, APPROVED: {}}
    usual = UsualTable()
    for item in items:
        kind, _, rest = item["sk"]["S"].partition("#")
        if kind == "usual":
            usual = msgspec.json.decode(item["d"]["S"], type=UsualTable) if "d" in item else usual
        elif kind == "minute":
            _read_minute(item, int(rest[:10]), by_kind)
    return Recent(by_kind[STARTED], by_kind[REFUSED], by_kind[APPROVED], usual)


def _read_minute(item: Item, minute: int, by_kind: dict[str, dict[int, Counts]]) -> None:
    for name, value in item.items():
        if name not in ("pk", "sk", "ttl"):
            counts = by_kind[name[0]].setdefault(minute, {})
            counts[name[1:]] = counts.get(name[1:], 0) + int(value["N"])


def _tenant(tenant: str) -> str:
    return f"pumping#{tenant}"


def _minute_key(tenant: str, digits: str, minute: int, shard: str = "s") -> Item:
    return {"pk": {"S": partition(tenant, digits)}, "sk": {"S": f"minute#{minute:010d}#{shard}"}}


def _adding(changes: Sequence[tuple[str, int]], ttl: int) -> dict[str, Any]:
    """An update that adds to attributes."""
    adds = ", ".join(f"#{i} :{i}" for i in range(len(changes)))
    return {
        "UpdateExpression": f"ADD {adds} SET #ttl = :ttl",
        "ExpressionAttributeNames": {"#ttl": "ttl", **{f"#{i}": name for i, (name, _) in enumerate(changes)}},
        "ExpressionAttributeValues": {
            ":ttl": {"N": str(ttl)},
            **{f":{i}": {"N": str(n)} for i, (_, n) in enumerate(changes)},
        },
    }


def _rule(rule: Rule) -> Item:
    text = msgspec.json.encode(rule).decode()
    found: Item = {"d": {"S": text}, "since": {"N": str(rule.since)}, "state": {"S": rule.state.value}}
    if rule.until is not None:
        found["ttl"] = {"N": str(rule.until // 1000 + _RULE_S)}
    return found


def prefix_of(number: str) -> str:
    """The longest prefix that is counted of a number in E.164."""
    return number[1 : 1 + LONGEST]
