"""DynamoDB in memory: the operations and expressions that our code uses, with the limits of the real one."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from local.memory import expressions
from local.memory.errors import AwsError, UnsupportedError, invalid
from local.memory.expressions import Given, Parsed
from local.memory.operations import Operations, operation
from local.memory.tables import Place, Schema, Table, comparable
from local.memory.values import Item, Value, added, copied, handed_out, size, stored
from shared.model.clock import Clock

MAX_ITEM_BYTES = 400 * 1024
MAX_PAGE_BYTES = 1024 * 1024
MAX_TRANSACTION_ACTIONS, MAX_TRANSACTION_BYTES = 100, 4 * 1024 * 1024
MAX_GET_KEYS, MAX_WRITES = 100, 25
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""All from the DynamoDB developer guide, "Quotas", and the API reference."""
TOKEN_MS = 10 * 60 * 1000
"""How long a transaction's ClientRequestToken is remembered."""

_CHECK = ("ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues")
_ON_FAILURE = "ReturnValuesOnConditionCheckFailure"
_READ = (
    *("TableName", "ExclusiveStartKey", "Limit", "ConsistentRead", "FilterExpression", "ProjectionExpression"),
    *("ExpressionAttributeNames", "ExpressionAttributeValues", "Select"),
)
_WRITE = ("TableName", *_CHECK, _ON_FAILURE, "ReturnValues")

Put = tuple[Table, Place, Item | None]
"""What a write comes to: the item at a place of a table is replaced, or deleted."""


class DynamoDb(Operations):
    """Tables by name; thread-safe."""

    passed_on = frozenset({"DescribeTable", "ListTables", "DescribeTimeToLive"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._tables: dict[str, Table] = {}
        self._tokens: dict[str, str] = {}
        self._token_ends: deque[tuple[int, str]] = deque()

    def adopt(self, description: Mapping[str, Any]) -> None:
        """Play a table from now on, empty, as DescribeTable describes it. Raises: UnsupportedError for indexes."""
        if description.get("GlobalSecondaryIndexes") or description.get("LocalSecondaryIndexes"):
            raise UnsupportedError("tables with indexes are not known")
        types = {each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]}
        names = {each["KeyType"]: each["AttributeName"] for each in description["KeySchema"]}
        first, second = names["HASH"], names.get("RANGE", "")
        schema = Schema(first, types[first], second, types.get(second, ""))
        self._tables[description["TableName"]] = Table(description["TableName"], schema)

    def clear(self, name: str) -> None:
        """Delete all items of a table."""
        with self._lock:
            self._table(name).clear()

    def held(self, name: str) -> list[Item]:
        """All items of a table; they are the table's own, and never changed in place."""
        with self._lock:
            return list(self._table(name).all(None))

    def take(self, name: str, items: Iterable[Item]) -> None:
        """Put items into a table, as `held` gave them."""
        with self._lock:
            table = self._table(name)
            for item in items:
                table.put(table.schema.place(item), item)

    # Single items

    @operation("TableName", "Key", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames")
    def _get_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        project = _projection(asked)
        with self._lock:
            table = self._table(asked["TableName"])
            found = table.get(table.schema.place_of_key(asked["Key"]))
        return {} if found is None else {"Item": project(found)}

    @operation("Item", *_WRITE)
    def _put_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._write("Put", asked)

    @operation("Key", *_WRITE)
    def _delete_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._write("Delete", asked)

    @operation("Key", "UpdateExpression", *_WRITE)
    def _update_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return self._write("Update", asked)

    def _write(self, action: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        wanted = asked.get("ReturnValues", "NONE")
        if action != "Update" and wanted not in ("NONE", "ALL_OLD"):
            raise invalid("Return values set to invalid value")
        with self._lock:
            table, place, new = self._planned(action, asked)
            old = table.get(place)
            _apply([(table, place, new)])
        if wanted == "NONE" or (wanted.endswith("OLD") and old is None):
            return {}
        shown = (old if wanted.endswith("OLD") else new) or {}
        if wanted.startswith("UPDATED"):
            names = _touched(asked)
            shown = {name: value for name, value in shown.items() if name in names}
        return {"Attributes": copied(shown)}

    # Many items

    @operation("RequestItems")
    def _batch_get_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        wanted = asked["RequestItems"]
        if sum(len(each["Keys"]) for each in wanted.values()) > MAX_GET_KEYS:
            raise invalid("Too many items requested for the BatchGetItem call")
        found: dict[str, list[Item]] = {}
        left: dict[str, Any] = {}
        room = MAX_BATCH_BYTES
        with self._lock:
            for name, each in wanted.items():
                table, project = self._table(name), _projection(each)
                places = _distinct(table.schema.place_of_key(key) for key in each["Keys"])
                found[name] = []
                for place, key in zip(places, each["Keys"], strict=True):
                    item = table.get(place)
                    room -= size(item) if item else 0
                    if room < 0:
                        left.setdefault(name, {**each, "Keys": []})["Keys"].append(key)
                    elif item is not None:
                        found[name].append(project(item))
        return {"Responses": found, "UnprocessedKeys": left}

    @operation("RequestItems")
    def _batch_write_item(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        requests = [(name, request) for name, all in asked["RequestItems"].items() for request in all]
        if not 1 <= len(requests) <= MAX_WRITES:
            raise invalid("Too many items requested for the BatchWriteItem call")
        with self._lock:
            planned: list[Put] = []
            for name, request in requests:
                ((kind, write),) = request.items()
                planned.append(self._planned(kind.removesuffix("Request"), {"TableName": name, **write}))
            _distinct((table.name, place) for table, place, _ in planned)
            if sum(size(item) for _, _, item in planned if item) > MAX_BATCH_BYTES:
                raise invalid("The batch is larger than 16 MB")
            _apply(planned)
        return {"UnprocessedItems": {}}

    @operation("TransactItems", "ClientRequestToken")
    def _transact_write_items(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        actions = [next(iter(each.items())) for each in asked["TransactItems"] if len(each) == 1]
        if len(actions) < len(asked["TransactItems"]):
            raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        if not 1 <= len(actions) <= MAX_TRANSACTION_ACTIONS:
            raise invalid("Member must have length less than or equal to 100")
        token, text = asked.get("ClientRequestToken"), repr(asked["TransactItems"])
        with self._lock:
            if token and self._done_before(token, text):
                return {}
            planned, reasons = self._judged(actions)
            _distinct(
                ((table.name, place) for table, place, _ in planned),
                "Transaction request cannot include multiple operations on one item",
            )
            if any(reason["Code"] != "None" for reason in reasons):
                codes = ", ".join(reason["Code"] for reason in reasons)
                message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
                more = {"Message": message, "CancellationReasons": reasons}
                raise AwsError("TransactionCanceledException", message, more)
            if sum(size(item) for _, _, item in planned if item) > MAX_TRANSACTION_BYTES:
                raise invalid("The transaction is larger than 4 MB")
            _apply(planned[i] for i, (kind, _) in enumerate(actions) if kind != "ConditionCheck")
            if token:
                self._tokens[token] = text
                self._token_ends.append((self._clock.now_ms() + TOKEN_MS, token))
        return {}

    def _done_before(self, token: str, text: str) -> bool:
        while self._token_ends and self._token_ends[0][0] <= self._clock.now_ms():
            self._tokens.pop(self._token_ends.popleft()[1], None)
        known = self._tokens.get(token)
        if known is not None and known != text:
            raise AwsError("IdempotentParameterMismatchException", "The token was used for another transaction")
        return known is not None

    def _judged(self, actions: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[list[Put], list[dict[str, Any]]]:
        """What the actions come to, and why each may not be done (`None` if it may)."""
        planned: list[Put] = []
        reasons: list[dict[str, Any]] = []
        for kind, action in actions:
            try:
                planned.append(self._planned(kind, action))
                reasons.append({"Code": "None"})
            except AwsError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                table = self._table(action["TableName"])
                planned.append((table, table.schema.place(action.get("Key") or action["Item"]), None))
                reasons.append({"Code": "ConditionalCheckFailed", "Message": error.message, **error.more})
                reasons[-1].pop("message")
        return planned, reasons

    def _planned(self, kind: str, asked: Mapping[str, Any]) -> Put:
        """What one write comes to, if its condition holds. Raises: AwsError."""
        table = self._table(asked["TableName"])
        if kind == "Put":
            new: Item | None = {name: stored(value) for name, value in asked["Item"].items()}
            place = table.schema.place(new or {})
        else:
            place, new = table.schema.place_of_key(asked["Key"]), None
        old = table.get(place)
        given, parsed = _given(asked), _parsed(asked)
        _all_used(given, *parsed.values())
        if "ConditionExpression" in parsed and not parsed["ConditionExpression"].meaning(old or {}, given):
            more: dict[str, Any] = {"message": _CONDITION_FAILED}
            if asked.get(_ON_FAILURE) == "ALL_OLD" and old is not None:
                more["Item"] = copied(old)
            raise AwsError("ConditionalCheckFailedException", _CONDITION_FAILED, more)
        if kind == "Update":
            new = dict(old) if old is not None else {name: stored(value) for name, value in asked["Key"].items()}
            if "UpdateExpression" in parsed:
                _change(new, parsed["UpdateExpression"].meaning, given, table.schema)
        if new is not None and size(new) > MAX_ITEM_BYTES:
            raise invalid("Item size has exceeded the maximum allowed size")
        return table, place, new

    # Listings

    @operation("KeyConditionExpression", "ScanIndexForward", *_READ)
    def _query(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        parsed = expressions.key_condition(asked["KeyConditionExpression"])
        with self._lock:
            table, given = self._table(asked["TableName"]), _given(asked)
            hash_part, operator, operands = _searched(table.schema, parsed.meaning, given)
            start = asked.get("ExclusiveStartKey")
            after = None if start is None else table.schema.place_of_key(start)[1]
            forward = asked.get("ScanIndexForward", True)
            items = table.range(hash_part, operator, operands, forward=forward, after=after)
            return _page(table, items, asked, parsed)

    @operation(*_READ)
    def _scan(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            table = self._table(asked["TableName"])
            start = asked.get("ExclusiveStartKey")
            after = None if start is None else table.schema.place_of_key(start)
            return _page(table, table.all(after), asked)

    def _table(self, name: str) -> Table:
        found = self._tables.get(name.rpartition("/")[2])
        if found is None:
            message = "Requested resource not found"
            raise AwsError("ResourceNotFoundException", message, {"message": message})
        return found


_CONDITION_FAILED = "The conditional request failed"
_NOTHING = Given({}, {})


def _apply(planned: Iterable[Put]) -> None:
    for table, place, item in planned:
        if item is None:
            table.delete(place)
        else:
            table.put(place, item)


def _distinct(keys: Iterable[Any], message: str = "Provided list of item keys contains duplicates") -> list[Any]:
    found = list(keys)
    if len(set(found)) < len(found):
        raise invalid(message)
    return found


def _given(asked: Mapping[str, Any]) -> Given:
    if "ExpressionAttributeNames" not in asked and "ExpressionAttributeValues" not in asked:
        return _NOTHING
    values = {name: stored(value) for name, value in asked.get("ExpressionAttributeValues", {}).items()}
    return Given(asked.get("ExpressionAttributeNames", {}), values)


_READERS = {
    "ConditionExpression": expressions.condition,
    "FilterExpression": expressions.condition,
    "UpdateExpression": expressions.update,
    "ProjectionExpression": expressions.projection,
}


def _parsed(asked: Mapping[str, Any]) -> dict[str, Parsed]:
    return {name: read(asked[name]) for name, read in _READERS.items() if name in asked}


def _all_used(given: Given, *parsed: Parsed) -> None:
    """Refuse names and values that no expression uses, as DynamoDB does. Raises: AwsError."""
    for kind, defined, used in (
        ("ExpressionAttributeNames", given.names, {name for each in parsed for name in each.names}),
        ("ExpressionAttributeValues", given.values, {name for each in parsed for name in each.values}),
    ):
        if unused := defined.keys() - used:
            raise invalid(f"Value provided in {kind} unused in expressions: keys: {{{', '.join(sorted(unused))}}}")
        if undefined := used - defined.keys():
            raise invalid(f"Invalid expression: {', '.join(sorted(undefined))} is not defined in {kind}")


def _projection(asked: Mapping[str, Any]) -> Any:
    """What copies an item for the caller: all of it, or what the projection names."""
    if "ProjectionExpression" not in asked:
        return copied
    parsed, given = expressions.projection(asked["ProjectionExpression"]), _given(asked)
    if "FilterExpression" not in asked and "KeyConditionExpression" not in asked:
        _all_used(given, parsed)
    names = [expressions.attribute(name, given) for name in parsed.meaning]
    return lambda item: {name: handed_out(item[name]) for name in names if name in item}


def _searched(schema: Schema, parts: Sequence[expressions.KeyPart], given: Given) -> tuple[Any, str, tuple[Any, ...]]:
    """What a query looks for: the partition, and operator and operands for the sort key. Raises: AwsError."""
    found = {expressions.attribute(name, given): (operator, operands) for name, operator, operands in parts}
    operator, operands = found.pop(schema.hash_name, ("", ()))
    if operator != "=" or len(parts) > 2 or found.keys() - {schema.range_name}:
        raise invalid("Query condition missed key schema element, or Query key condition not supported")
    hash_part = comparable(expressions.value_of(operands[0], given), 2048)
    operator, operands = found.get(schema.range_name, ("", ()))
    return hash_part, operator, tuple(comparable(expressions.value_of(each, given)) for each in operands)


def _page(table: Table, items: Iterator[Item], asked: Mapping[str, Any], *more: Parsed) -> dict[str, Any]:
    """One page: up to `Limit` items, or 1 MB, before the filter."""
    given, parsed, project = _given(asked), _parsed(asked), _projection(asked)
    _all_used(given, *parsed.values(), *more)
    passes = parsed["FilterExpression"].meaning if "FilterExpression" in parsed else None
    limit, counting = asked.get("Limit"), asked.get("Select") == "COUNT"
    found: list[Item] = []
    scanned = matched = bytes_read = 0
    last: Item | None = None
    for item in items:
        scanned, last = scanned + 1, item
        bytes_read += size(item)
        if passes is None or passes(item, given):
            matched += 1
            if not counting:
                found.append(project(item))
        if scanned == limit or bytes_read >= MAX_PAGE_BYTES:
            break
    else:
        last = None
    answer: dict[str, Any] = {"Count": matched, "ScannedCount": scanned}
    if not counting:
        answer["Items"] = found
    if last is not None:
        answer["LastEvaluatedKey"] = {name: handed_out(last[name]) for name in table.schema.names}
    return answer


def _touched(asked: Mapping[str, Any]) -> set[str]:
    given = _given(asked)
    return {expressions.attribute(name, given) for _, name, _ in expressions.update(asked["UpdateExpression"]).meaning}


def _change(item: Item, changes: Sequence[expressions.Change], given: Given, schema: Schema) -> None:
    """Carry out an update's changes on `item`, whose values before count for all of them. Raises: AwsError."""
    before = dict(item)
    names = _distinct(
        (expressions.attribute(name, given) for _, name, _ in changes),
        "Invalid UpdateExpression: Two document paths overlap with each other",
    )
    for name, (clause, _, operand) in zip(names, changes, strict=True):
        if name in schema.names:
            raise invalid(
                f"One or more parameter values were invalid: Cannot update attribute {name}. "
                "This attribute is part of the key"
            )
        value = None if operand is None else operand(before, given)
        if clause == "ADD" and value is not None:
            item[name] = _sum(before.get(name), value)
        elif clause == "SET" and value is not None:
            item[name] = value
        elif clause == "REMOVE":
            item.pop(name, None)
        else:
            raise UnsupportedError(f"the clause {clause} is not known")


def _sum(old: Value | None, more: Value) -> Value:
    ((kind, amount),) = more.items()
    if kind not in ("N", "SS", "NS"):
        raise invalid("Incorrect operand type for operator or function; operator: ADD")
    if old is None:
        return more
    if kind not in old:
        raise invalid("An operand in the update expression has an incorrect data type")
    if kind == "N":
        return {"N": added(old["N"], amount)}
    return {kind: [*old[kind], *(each for each in amount if each not in old[kind])]}
