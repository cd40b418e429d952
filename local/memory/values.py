"""DynamoDB's attribute values as the low-level client has them: `{"S": "text"}`, `{"N": "12"}` and so on."""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from local.memory.errors import invalid

Value = dict[str, Any]
Item = dict[str, Value]
"""Attribute name -> value. What a table holds is never changed in place, only replaced."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,37}")
_EXACT = Context(prec=38)
"""Numbers have up to 38 digits (DynamoDB developer guide, "Supported data types")."""
_SETS = frozenset({"SS", "NS", "BS"})


def stored(value: Value) -> Value:
    """A copy as a table holds it: numbers in one form, nothing shared with the caller. Raises: AwsError."""
    if len(value) != 1:
        raise invalid("Supplied AttributeValue must contain exactly one of the supported datatypes")
    ((kind, held),) = value.items()
    if kind == "S":
        return {"S": str(held)}  # of an enumeration, only its text goes over the wire
    if kind == "B":
        return {"B": bytes(held)}
    if kind in ("BOOL", "NULL"):
        return {kind: held}
    if kind == "N":
        return {"N": number(held)}
    if kind == "M":
        return {"M": {name: stored(each) for name, each in held.items()}}
    if kind == "L":
        return {"L": [stored(each) for each in held]}
    return {kind: _set(kind, held)}


def _set(kind: str, held: Any) -> list[Any]:
    if not held:
        raise invalid("One or more parameter values were invalid: An string set may not be empty")
    found = [number(each) if kind == "NS" else each for each in held]
    if len(set(found)) < len(found):
        raise invalid("One or more parameter values were invalid: Input collection contains duplicates.")
    return found


def handed_out(value: Value) -> Value:
    """A copy for a caller, who may change it."""
    ((kind, held),) = value.items()
    if kind == "M":
        return {"M": {name: handed_out(each) for name, each in held.items()}}
    if kind == "L":
        return {"L": [handed_out(each) for each in held]}
    return {kind: list(held) if kind in _SETS else held}


def copied(item: Item) -> Item:
    """A copy of an item for a caller."""
    return {name: handed_out(value) for name, value in item.items()}


def number(text: str) -> str:
    """A number in the form in which DynamoDB gives it back. Raises: AwsError."""
    if _INTEGER.fullmatch(text):
        return text
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}") from None
    if not exact.is_finite():
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}")
    if len(exact.normalize(Context(prec=200)).as_tuple().digits) > 38:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    exact = exact.normalize(_EXACT)
    return format(exact, "f") if exact else "0"


def added(a: str, b: str, sign: int = 1) -> str:
    """The sum, or the difference, of two numbers. Raises: AwsError beyond 38 digits."""
    if _INTEGER.fullmatch(a) and _INTEGER.fullmatch(b):
        return number(str(int(a) + sign * int(b)))
    return number(format(_EXACT.add(Decimal(a), sign * Decimal(b)), "f"))


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same; values of different types never are."""
    ((kind, left),) = a.items()
    ((other, right),) = b.items()
    if kind != other:
        return False
    if kind in _SETS:
        return set(left) == set(right)
    return bool(left == right)


_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def ordered(operator: str, a: Value, b: Value) -> bool:
    """Whether `a < b`, or as the operator says; False between different types, and for types without an order."""
    ((kind, left),) = a.items()
    ((other, right),) = b.items()
    if kind != other or kind not in ("S", "N", "B"):
        return False
    if kind == "N":
        left, right = Decimal(left), Decimal(right)
    # Texts: by code point, which is the order of their UTF-8 bytes.
    return _ORDERS[operator](left, right)


def size(item: Item) -> int:
    """An item's size in bytes (DynamoDB developer guide, "Item sizes and formats"), up to a few of numbers."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(value: Value) -> int:
    """A value's size in bytes."""
    kind: str
    held: Any
    ((kind, held),) = value.items()
    if kind == "S":
        return len(held.encode())
    if kind == "B":
        return len(held)
    if kind == "N":
        digits = len(held.strip("-").strip("0").replace(".", ""))
        return (digits + 1) // 2 + 1 + int(held.startswith("-"))
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M":
        return 3 + sum(len(name.encode()) + value_size(each) + 1 for name, each in held.items())
    if kind == "L":
        return 3 + sum(value_size(each) + 1 for each in held)
    return sum(value_size({kind[0]: each}) for each in held)
