"""Counters by scope and cohort hour, one item per stream shard, moved together with the shard's checkpoint.

| pk | sk | holds |
|---|---|---|
| `<tenant>#...`, `health#...`, `conversion#...` | `<hour>#<shard>` | counts |
| `<tenant>#template#<id>` | `<hour>#<version>|<account>|<run>|<variant>#<shard>` | counts, of each such group alone |
| `checkpoint#<stream>/<shard>` | `checkpoint` | the last record that is counted, and from where it may not be kept |
| `unkept#<stream>` | `<pk>|<sk>` of the event | an event that is counted, and that the timeline does not take |

What became of the tries through an account is counted beside them, by the ten seconds in which it did, and forgotten
within hours: `shared/policy/routing.py` says what it is for. So is what became of codes, by country
(`shared/policy/conversion.py`).
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct
from pydantic_core import from_json, to_json

from shared.errors import LostError
from shared.model.events import EventRow
from shared.model.words import OUTCOMES, Stage
from shared.policy import conversion
from shared.policy.routing import BUCKET_MS
from shared.store.dynamo import Item, batch_delete, batch_put, key_of

HOUR_MS = 3_600_000
HEALTH = "health#"
"""The scopes that are forgotten begin with this."""
HEALTH_TTL_S = 6 * 3600
CONVERSION = "conversion#"
"""So do the scopes of what is compared of accounts that send codes to the same country."""
CODES = "&"
"""In names of what is counted of codes alone, between stage and country."""
_TTL = "ttl"
MAX_ITEMS = 99
"""Counter items per transaction: 100 actions (DynamoDB API reference, TransactWriteItems) less the checkpoint."""

_ASIDE = "unkept#"
_CLEAN = " AND attribute_not_exists(unkept) AND attribute_not_exists(aside)"

CounterKey = tuple[str, str]
"""(scope such as `default#template#welcome`, its item without the shard): see `place`."""


class Group(Struct, frozen=True):
    """Messages of a template that are counted together."""

    version: int
    account: str | None = None
    """Through which they went; None for those, and that of them, which no account was chosen for."""
    run: str | None = None
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.version}|{self.account or ''}|{self.run or ''}|{self.variant or ''}"

    @classmethod
    def read(cls, text: str) -> "Group":
        """What was written. Raises: ValueError."""
        version, account, run, variant = text.split("|")
        return cls(int(version), account or None, run or None, variant or None)


def place(hour: int, group: Group | None = None) -> str:
    """Where counts are, but for the shard. hour: since the epoch; of health, the number of ten seconds."""
    return f"{hour:08d}" if group is None else f"{hour:08d}#{group}"


def in_flight(counts: Mapping[str, int]) -> int:
    """How many messages have no outcome yet, from counts by stage."""
    opened = counts.get(Stage.ACCEPTED, 0) + counts.get(Stage.REDRIVEN, 0)
    return opened - sum(n for stage, n in counts.items() if stage in OUTCOMES)


REPORTED = (Stage.DELIVERED, Stage.UNDELIVERED, f"{Stage.UNDELIVERED}.transient")
"""By these names it counts that something was said of whether messages arrived; one that did and came back later counts
as two."""


def unreported(counts: Mapping[str, int]) -> int:
    """How many messages were sent, or may have been, and nothing was said of whether they arrived."""
    sent = counts.get(Stage.SENT, 0) + counts.get(Stage.UNKNOWN, 0)
    return max(0, sent - sum(counts.get(name, 0) for name in REPORTED))


class Progress(Struct, frozen=True):
    """How far a shard is, in sequence numbers."""

    counted: int = -1
    """Up to which record its events are counted; -1 for none."""
    unkept_from: int | None = None
    """From which record on they are not known to be kept; None if all are."""
    aside: bool = False
    """Some were set aside."""


class CheckpointMovedError(LostError):
    """Another run has counted these records in the meantime."""


def run_scope(tenant: str, run: str, variant: str | None = None) -> str:
    """The scope of a campaign's run, or of one of its variants. Beside stages a run's has names of reasons."""
    return f"{tenant}#run#{run}" + (f"#variant#{variant}" if variant else "")


def reason_name(stage: str, reason: str) -> str:
    """The name by which a run counts how often messages came to a stage for a reason."""
    return f"{stage}:{reason}"


def template_scope(tenant: str, template: str) -> str:
    """The scope of a template, whose items are by group."""
    return f"{tenant}#template#{template}"


def account_scope(tenant: str, account: str) -> str:
    """The scope of an account. Beside stages it has names of reasons and of latencies, as a template's has."""
    return f"{tenant}#account#{account}"


def counter_keys(tenant: str, template: str, hour: int, group: Group) -> list[CounterKey]:
    """All that an event counts in; the first is that of the template, the last that of the account, if there is one."""
    at = place(hour)
    found = [(template_scope(tenant, template), place(hour, group)), (f"{tenant}#tenant", at)]
    if group.run:
        found.append((run_scope(tenant, group.run), at))
        if group.variant:
            found.append((run_scope(tenant, group.run, group.variant), at))
    if group.account:
        found.append((account_scope(tenant, group.account), at))
    return found


def counted_as(row: EventRow) -> str:
    """The name that an event counts by: its stage, or more where an event of this stage does not say it all.

    Of openings and clicks this is for anonymous ones, each of which counts; what those of a message count as,
    `shared/policy/engagement.py` says of all of them together. What is undelivered for now counts apart from what is
    for good (`.transient`).
    """
    if row.anonymous and not row.machine:
        return f"{row.stage}.anonymous"
    if row.machine:
        return f"{row.stage}.machine"
    if row.transient:
        return transient_name(row.stage)
    return row.stage


def transient_name(stage: str) -> str:
    """The name by which it counts that messages came to a stage for a cause that may pass."""
    return f"{stage}.transient"


def code_name(stage: str, country: str | None) -> str:
    """The name by which it counts that messages which carried a verification came to a stage: `sent&CN`, `verified&CN`;
    without a country of those that are no texts."""
    return f"{stage}{CODES}{country or ''}"


def conversion_scope(tenant: str, country: str) -> str:
    """The scope of texts to a country that carried verifications, of all accounts."""
    return f"{CONVERSION}{tenant}#{country}"


def health_scope(tenant: str, account: str) -> str:
    """The scope of what became of the tries through an account."""
    return f"{HEALTH}{tenant}#{account}"


class Counters:
    """Reads and writes the counters table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def checkpoint(self, shard: str) -> int:
        """The sequence number up to which a shard's records are counted; -1 for none."""
        return self.progress(shard).counted

    def progress(self, shard: str) -> Progress:
        """How far a shard is."""
        answer = self._client.get_item(TableName=self._table, Key=_checkpoint_key(shard), ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            return Progress()
        return Progress(int(item["seq"]["S"]), int(item["unkept"]["S"]) if "unkept" in item else None, "aside" in item)

    def add(
        self,
        shard: str,
        old: int,
        new: int,
        counts: Mapping[CounterKey, Counter[str]],
        *,
        first: int | None = None,
        aside: bool = False,
        clean: bool = False,
        puts: Sequence[Item] = (),
    ) -> None:
        """Add counts and move the checkpoint from `old` to `new`, all or nothing.

        counts: at most 99 keys (less `puts`), each with counts by name, which are stages but for health and for
        reasons. first: the record from which on nothing is kept yet; None if `puts` keeps it all, which are actions of
        the same transaction. aside: see `Progress`. clean: the shard notes nothing as not kept, or as set aside.
        Raises: CheckpointMovedError if the shard is not as is said here.
        """
        move: Item = {
            "Update": {
                "TableName": self._table,
                "Key": _checkpoint_key(shard),
                # Sequence numbers have up to 129 digits: beyond DynamoDB's numbers.
                **_noted({"seq": new, "unkept": first}, aside),
                "ConditionExpression": "attribute_not_exists(pk)" if old < 0 else "seq = :old",
            }
        }
        if clean:
            move["Update"]["ConditionExpression"] += _CLEAN
        if old >= 0:
            move["Update"]["ExpressionAttributeValues"][":old"] = {"S": str(old)}
        adds = [_add(self._table, shard, key, stages) for key, stages in counts.items()]
        try:
            self._client.transact_write_items(TransactItems=[move, *adds, *puts])
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = error.response.get("CancellationReasons") or [{}]
            if reasons[0].get("Code") == "ConditionalCheckFailed":
                raise CheckpointMovedError(shard) from None
            raise

    def note(self, shard: str, counted: int, unkept_from: int | None, aside: bool) -> None:
        """Note what is kept of a shard (see `Progress`), unless more was counted since."""
        noted = _noted({"unkept": unkept_from}, aside)
        noted["ExpressionAttributeValues"][":now"] = {"S": str(counted)}
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table, Key=_checkpoint_key(shard), ConditionExpression="seq = :now", **noted
            )

    def set_aside(self, stream: str, items: Sequence[Item]) -> None:
        """Set events aside that are counted, and that the timeline does not take. Raises: what the table raises."""
        batch_put(self._client, self._table, [_aside_item(stream, item) for item in items])

    def aside(self, stream: str) -> list[Item]:
        """The events of a stream that were set aside, as items of the timeline."""
        values = {":pk": {"S": f"{_ASIDE}{stream}"}}
        return [from_json(zlib.decompress(item["d"]["B"])) for item in self._query("pk = :pk", values)]

    def take_back(self, stream: str, items: Sequence[Item]) -> None:
        """Forget events that were set aside and are kept now."""
        batch_delete(self._client, self._table, [_aside_key(stream, item) for item in items])

    def read(self, scope: str, first_hour: int, last_hour: int) -> dict[int, Counter[str]]:
        """Counts per stage by cohort hour (of health: by name and bucket), both ends included, shards summed up."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        values = {":pk": {"S": scope}, ":a": {"S": f"{place(first_hour)}#"}, ":b": {"S": f"{place(last_hour)}$"}}
        for item in self._query("pk = :pk AND sk BETWEEN :a AND :b", values):
            hour = found[int(item["sk"]["S"].partition("#")[0])]
            hour.update({name: int(v["N"]) for name, v in item.items() if "N" in v and name != _TTL})
        return dict(sorted(found.items()))

    def read_groups(self, scope: str, first_hour: int, last_hour: int) -> dict[tuple[int, Group | None], Counter[str]]:
        """Counts of a template by cohort hour and group, both ends included, shards summed up; None for those from
        before there were groups."""
        found: dict[tuple[int, Group | None], Counter[str]] = defaultdict(Counter)
        values = {":pk": {"S": scope}, ":a": {"S": f"{place(first_hour)}#"}, ":b": {"S": f"{place(last_hour)}$"}}
        for item in self._query("pk = :pk AND sk BETWEEN :a AND :b", values):
            hour, *group, _ = item["sk"]["S"].split("#")
            key = int(hour), Group.read(group[0]) if group else None
            found[key].update({name: int(v["N"]) for name, v in item.items() if "N" in v and name != _TTL})
        return dict(found)

    def _query(self, condition: str, values: Item) -> Iterator[Item]:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
        }
        while True:
            answer = self._client.query(**arguments)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _noted(numbers: Mapping[str, int | None], aside: bool) -> dict[str, Any]:
    """Of an update: sets sequence numbers, removes those that are None, and says whether events were set aside."""
    sets: Item = {name: {"S": str(number)} for name, number in numbers.items() if number is not None}
    sets |= {"aside": {"BOOL": True}} if aside else {}
    gone = [name for name in ("unkept", "aside") if name not in sets]
    expression = "SET " + ", ".join(f"{name} = :{name}" for name in sets) if sets else ""
    expression += f" REMOVE {', '.join(gone)}" if gone else ""
    values = {f":{name}": value for name, value in sets.items()}
    return {"UpdateExpression": expression.strip(), "ExpressionAttributeValues": values}


def _aside_key(stream: str, item: Item) -> Item:
    return {"pk": {"S": f"{_ASIDE}{stream}"}, "sk": {"S": "|".join(key_of(item))}}


def _aside_item(stream: str, item: Item) -> Item:
    return {**_aside_key(stream, item), "d": {"B": zlib.compress(to_json(item))}}


def _checkpoint_key(shard: str) -> dict[str, Any]:
    return {"pk": {"S": f"checkpoint#{shard}"}, "sk": {"S": "checkpoint"}}


def _forgotten_at(key: CounterKey) -> int | None:
    """When an item may go, in seconds since the epoch; None for one that is kept."""
    if key[0].startswith(HEALTH):
        return int(key[1]) * BUCKET_MS // 1000 + HEALTH_TTL_S
    if key[0].startswith(CONVERSION):
        return int(key[1]) * conversion.BUCKET_MS // 1000 + conversion.KEEP_S
    return None


def _add(table: str, shard: str, key: CounterKey, stages: Counter[str]) -> dict[str, Any]:
    names = {f"#{i}": stage for i, stage in enumerate(stages)}
    values = {f":{i}": {"N": str(n)} for i, n in enumerate(stages.values())}
    expression = "ADD " + ", ".join(f"{name} :{name[1:]}" for name in names)
    forgotten = _forgotten_at(key)
    if forgotten is not None:
        expression += " SET #ttl = :ttl"
        names["#ttl"] = _TTL
        values[":ttl"] = {"N": str(forgotten)}
    return {
        "Update": {
            "TableName": table,
            "Key": {"pk": {"S": key[0]}, "sk": {"S": f"{key[1]}#{shard}"}},
            "UpdateExpression": expression,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }
