"""Counters by scope and cohort hour, one item per stream shard, moved together with the shard's checkpoint.

What became of the tries through an account is counted beside them, by the ten seconds in which it did, and forgotten
within hours: `shared/policy/routing.py` says what it is for.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from shared.model.words import OUTCOMES, Stage
from shared.policy.routing import BUCKET_MS

HOUR_MS = 3_600_000
HEALTH = "health#"
"""The scopes that are forgotten begin with this."""
HEALTH_TTL_S = 6 * 3600
_TTL = "ttl"
MAX_ITEMS = 99
"""Counter items per transaction: 100 actions (DynamoDB API reference, TransactWriteItems) less the checkpoint."""

CounterKey = tuple[str, int]
"""(scope such as `default#template#welcome`, cohort hour since the epoch); of health, the number of ten seconds."""


def in_flight(counts: Mapping[str, int]) -> int:
    """How many messages have no outcome yet, from counts by stage."""
    opened = counts.get(Stage.ACCEPTED, 0) + counts.get(Stage.REDRIVEN, 0)
    return opened - sum(n for stage, n in counts.items() if stage in OUTCOMES)


class CheckpointMovedError(Exception):
    """Another run has counted these records in the meantime."""


def run_scope(tenant: str, run: str, variant: str | None = None) -> str:
    """The scope of a campaign's run, or of one of its variants. Beside stages a run's has names of reasons."""
    return f"{tenant}#run#{run}" + (f"#variant#{variant}" if variant else "")


def reason_name(stage: str, reason: str) -> str:
    """The name by which a run counts how often messages came to a stage for a reason."""
    return f"{stage}:{reason}"


def scopes(tenant: str, template: str, run: str | None, variant: str | None, account: str | None) -> list[str]:
    """The scopes that an event counts in."""
    found = [f"{tenant}#tenant", f"{tenant}#template#{template}"]
    if run:
        found.append(run_scope(tenant, run))
        if variant:
            found.append(run_scope(tenant, run, variant))
    if account:
        found.append(f"{tenant}#account#{account}")
    return found


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
        answer = self._client.get_item(TableName=self._table, Key=_checkpoint_key(shard), ConsistentRead=True)
        item = answer.get("Item")
        return int(item["seq"]["S"]) if item else -1

    def add(self, shard: str, old: int, new: int, counts: Mapping[CounterKey, Counter[str]]) -> None:
        """Add counts and move the checkpoint from `old` to `new`, all or nothing.

        counts: at most 99 keys, each with counts by name, which are stages but for health and for reasons.
        Raises: CheckpointMovedError.
        """
        move: dict[str, Any] = {
            "Update": {
                "TableName": self._table,
                "Key": _checkpoint_key(shard),
                "UpdateExpression": "SET seq = :new",
                "ConditionExpression": "attribute_not_exists(pk)" if old < 0 else "seq = :old",
                # Sequence numbers have up to 129 digits: beyond DynamoDB's numbers.
                "ExpressionAttributeValues": {":new": {"S": str(new)}} | ({} if old < 0 else {":old": {"S": str(old)}}),
            }
        }
        adds = [_add(self._table, shard, key, stages) for key, stages in counts.items()]
        try:
            self._client.transact_write_items(TransactItems=[move, *adds])
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = error.response.get("CancellationReasons") or [{}]
            if reasons[0].get("Code") == "ConditionalCheckFailed":
                raise CheckpointMovedError(shard) from None
            raise

    def read(self, scope: str, first_hour: int, last_hour: int) -> dict[int, Counter[str]]:
        """Counts per stage by cohort hour (of health: by name and bucket), both ends included, shards summed up."""
        found: dict[int, Counter[str]] = defaultdict(Counter)
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :a AND :b",
            "ExpressionAttributeValues": {
                ":pk": {"S": scope},
                ":a": {"S": f"{first_hour:08d}#"},
                ":b": {"S": f"{last_hour:08d}$"},
            },
            "ConsistentRead": True,
        }
        while True:
            answer = self._client.query(**arguments)
            for item in answer["Items"]:
                hour = found[int(item["sk"]["S"].partition("#")[0])]
                hour.update({name: int(v["N"]) for name, v in item.items() if "N" in v and name != _TTL})
            if "LastEvaluatedKey" not in answer:
                return dict(sorted(found.items()))
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _checkpoint_key(shard: str) -> dict[str, Any]:
    return {"pk": {"S": f"checkpoint#{shard}"}, "sk": {"S": "checkpoint"}}


def _add(table: str, shard: str, key: CounterKey, stages: Counter[str]) -> dict[str, Any]:
    names = {f"#{i}": stage for i, stage in enumerate(stages)}
    values = {f":{i}": {"N": str(n)} for i, n in enumerate(stages.values())}
    expression = "ADD " + ", ".join(f"{name} :{name[1:]}" for name in names)
    if key[0].startswith(HEALTH):
        expression += " SET #ttl = :ttl"
        names["#ttl"] = _TTL
        values[":ttl"] = {"N": str(key[1] * BUCKET_MS // 1000 + HEALTH_TTL_S)}
    return {
        "Update": {
            "TableName": table,
            "Key": {"pk": {"S": key[0]}, "sk": {"S": f"{key[1]:08d}#{shard}"}},
            "UpdateExpression": expression,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }
