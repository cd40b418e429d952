"""What DynamoDB tables hold: partitions of items in the order of their sort keys."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from local.memory.errors import invalid
from local.memory.values import Item, Value

MAX_HASH_BYTES, MAX_RANGE_BYTES = 2048, 1024
"""Of a partition key and a sort key (DynamoDB developer guide, "Quotas")."""

Part = Any
"""A key attribute as it is compared: a text, a Decimal or bytes."""
Place = tuple[Part, Part]
"""Partition and place within it; an empty text where a table has no sort key."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A table's key: names and types (S, N or B) of the partition key and of the sort key; empty for none."""

    hash_name: str
    hash_type: str
    range_name: str = ""
    range_type: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes of the key."""
        return (self.hash_name, self.range_name) if self.range_name else (self.hash_name,)

    def place(self, item: Mapping[str, Value]) -> Place:
        """Where an item belongs. Raises: AwsError if its key is incomplete, empty or of another type."""
        first = _part(item, self.hash_name, self.hash_type, MAX_HASH_BYTES)
        return first, _part(item, self.range_name, self.range_type, MAX_RANGE_BYTES) if self.range_name else ""

    def place_of_key(self, key: Mapping[str, Value]) -> Place:
        """The same for a key, which must have nothing else. Raises: AwsError."""
        if len(key) != len(self.names):
            raise invalid("The provided key element does not match the schema")
        return self.place(key)


def _part(item: Mapping[str, Value], name: str, kind: str, most: int) -> Part:
    value = item.get(name)
    if value is None:
        raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
    if kind not in value:
        raise invalid(f"One or more parameter values were invalid: Type mismatch for key {name} expected: {kind}")
    return comparable(value, most)


def comparable(value: Value, most: int = MAX_RANGE_BYTES) -> Part:
    """A key attribute's value as it is compared. Raises: AwsError if it is empty or larger than `most` bytes."""
    ((kind, held),) = value.items()
    if kind == "N":
        return Decimal(held)
    length = len(held.encode()) if kind == "S" else len(held)
    if not length:
        raise invalid("One or more parameter values are not valid. A key attribute may not hold an empty value.")
    if length > most:
        raise invalid(f"One or more parameter values were invalid: A key has more than {most} bytes")
    return held


@dataclass(slots=True)
class Partition:
    """Items by sort key, and the sort keys in order."""

    items: dict[Part, Item] = field(default_factory=dict)
    order: list[Part] = field(default_factory=list)


class Table:
    """One table's items. Not thread-safe."""

    def __init__(self, name: str, schema: Schema) -> None:
        self.name = name
        self.schema = schema
        self._partitions: dict[Part, Partition] = {}
        self._order: list[Part] | None = None

    def get(self, place: Place) -> Item | None:
        """The item at a place."""
        partition = self._partitions.get(place[0])
        return None if partition is None else partition.items.get(place[1])

    def put(self, place: Place, item: Item) -> None:
        """Put an item where it belongs."""
        partition = self._partitions.get(place[0])
        if partition is None:
            partition = self._partitions[place[0]] = Partition()
            self._order = None
        if place[1] not in partition.items:
            insort(partition.order, place[1])
        partition.items[place[1]] = item

    def delete(self, place: Place) -> None:
        """Delete what is at a place, if there is anything."""
        partition = self._partitions.get(place[0])
        if partition is None or partition.items.pop(place[1], None) is None:
            return
        del partition.order[bisect_left(partition.order, place[1])]
        if not partition.items:
            del self._partitions[place[0]]
            self._order = None

    def clear(self) -> None:
        """Delete everything."""
        self._partitions.clear()
        self._order = None

    def range(
        self, hash_part: Part, operator: str, operands: tuple[Part, ...], *, forward: bool, after: Part | None
    ) -> Iterator[Item]:
        """Items of a partition whose sort keys fit, in order; `after`: only those that come after this one."""
        partition = self._partitions.get(hash_part)
        if partition is None:
            return
        order = partition.order
        first, last = _bounds(order, operator, operands)
        if after is not None and forward:
            first = max(first, bisect_right(order, after))
        elif after is not None:
            last = min(last, bisect_left(order, after))
        for at in range(first, last) if forward else range(last - 1, first - 1, -1):
            yield partition.items[order[at]]

    def all(self, after: Place | None) -> Iterator[Item]:
        """All items, partition by partition; `after`: only those that come after this place."""
        if self._order is None:
            # DynamoDB's order is that of hashes; any will do that stays the same from page to page.
            self._order = sorted(self._partitions)
        order = self._order
        start = 0 if after is None else bisect_left(order, after[0])
        for part in order[start:]:
            resume = after[1] if after is not None and part == after[0] else None
            yield from self.range(part, "", (), forward=True, after=resume)


def _bounds(order: list[Part], operator: str, operands: tuple[Part, ...]) -> tuple[int, int]:
    """The first place in a sorted list that fits, and the one behind the last."""
    if not operator:
        return 0, len(order)
    left, right = bisect_left(order, operands[0]), bisect_right(order, operands[-1])
    if operator == "begins_with":
        prefix = operands[0]
        return left, bisect_right(order, prefix, key=lambda part: part[: len(prefix)])
    return {
        "=": (left, right),
        "BETWEEN": (left, right),
        "<": (0, left),
        "<=": (0, right),
        ">": (right, len(order)),
        ">=": (left, len(order)),
    }[operator]
