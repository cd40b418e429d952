"""DynamoDB write units, worked out from the sizes of items: the local stack's DynamoDB reports none."""

import threading
from collections.abc import Mapping
from typing import Any

from local.permissions import running

Item = Mapping[str, Mapping[str, Any]]


def item_bytes(item: Item) -> int:
    """The size of an item (DynamoDB developer guide, "Item sizes and formats")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(content)
    if kind == "SS":
        return sum(len(each.encode()) for each in content)
    if kind == "N":
        # About a byte for two digits, and one more.
        return len(content.strip("-0.")) // 2 + 2
    if kind in ("BOOL", "NULL"):
        return 1
    raise ValueError(f"no size is known for the type {kind}")


def units(before: int, after: int) -> int:
    """Of one write of an item: one for each 1 KB of the larger of the two, and at least one."""
    return max(1, -(-max(before, after) // 1024))


_here = threading.local()


def looking() -> bool:
    """Whether this thread only looks up a size just now, for which nobody would be charged."""
    return getattr(_here, "looking", False)


class WriteUnits:
    """Adds up what writes cost; an observer of `local.counting`. client: reads items without being counted.

    total: so far, by table.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sizes: dict[tuple[str, str, str], int] = {}
        self.total: dict[str, int] = {}

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if service != "dynamodb":
            return
        if operation in ("PutItem", "UpdateItem"):
            self._written(parameters["TableName"], parameters.get("Key") or parameters["Item"], 1)
        elif operation == "BatchWriteItem":
            for table, requests in parameters["RequestItems"].items():
                for request in requests:
                    self._written(table, request["PutRequest"]["Item"], 1)
        elif operation == "DeleteItem":
            self._written(parameters["TableName"], parameters["Key"], 1)
        elif operation == "TransactWriteItems":
            for action in parameters["TransactItems"]:
                ((_, write),) = action.items()
                self._written(write["TableName"], write.get("Key") or write["Item"], 2)

    def _written(self, table: str, key: Item, times: int) -> None:
        pk, sk = key["pk"], key["sk"]
        _here.looking = True
        # The function that writes here may have no right to read.
        with running(""):
            answer = self._client.get_item(TableName=table, Key={"pk": pk, "sk": sk}, ConsistentRead=True)
        found = answer.get("Item") or {}
        _here.looking = False
        name = (table, str(pk["S"]), str(sk["S"]))
        before, self._sizes[name] = self._sizes.get(name, 0), item_bytes(found)
        self.total[table] = self.total.get(table, 0) + times * units(before, self._sizes[name])
