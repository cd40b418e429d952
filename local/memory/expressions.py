"""DynamoDB's expressions, read once and kept: conditions, filters, key conditions, updates, projections.

Only what our code writes is known: attributes by name, without paths into maps and lists. Anything else raises.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from local.memory.errors import UnsupportedError, invalid
from local.memory.values import Item, Value, added, equal, ordered, value_size


class Given(NamedTuple):
    """A request's ExpressionAttributeNames and ExpressionAttributeValues."""

    names: Mapping[str, str]
    values: Mapping[str, Value]


Operand = Callable[[Item, Given], Value | None]
Condition = Callable[[Item, Given], bool]
Change = tuple[str, str, Operand | None]
"""(SET, REMOVE, ADD or DELETE; the attribute as written; its operand)."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an expression uses of the request's names and values. meaning: what it says, by its kind."""

    meaning: Any
    names: frozenset[str]
    values: frozenset[str]


KeyPart = tuple[str, str, tuple[str, ...]]
"""(attribute as written, operator, values as written) of a key condition."""


def attribute(name: str, given: Given) -> str:
    """The attribute that a name in an expression stands for. Raises: AwsError."""
    if not name.startswith("#"):
        return name
    if name not in given.names:
        raise invalid(
            f"Invalid expression: An expression attribute name used in the document path is not defined; "
            f"attribute name: {name}"
        )
    return given.names[name]


def value_of(name: str, given: Given) -> Value:
    """The value that a placeholder stands for. Raises: AwsError."""
    if name not in given.values:
        raise invalid(
            f"Invalid expression: An expression attribute value used in expression is not defined; "
            f"attribute value: {name}"
        )
    return given.values[name]


@lru_cache(maxsize=1000)
def condition(text: str) -> Parsed:
    """A ConditionExpression or FilterExpression; its meaning is a `Condition`. Raises: AwsError, UnsupportedError."""
    reader = _Reader(text)
    return reader.done(reader.either())


@lru_cache(maxsize=1000)
def key_condition(text: str) -> Parsed:
    """A KeyConditionExpression; its meaning is one `KeyPart` or two. Raises: AwsError, UnsupportedError."""
    reader = _Reader(text)
    parts = [reader.key_part()]
    if reader.take_if("AND"):
        parts.append(reader.key_part())
    return reader.done(tuple(parts))


@lru_cache(maxsize=1000)
def update(text: str) -> Parsed:
    """An UpdateExpression; its meaning is a list of `Change`. Raises: AwsError, UnsupportedError."""
    reader = _Reader(text)
    changes: list[Change] = []
    seen: set[str] = set()
    while reader.more:
        clause = reader.clause()
        if clause in seen:
            raise invalid(f'Invalid UpdateExpression: The "{clause}" section can only be used once')
        seen.add(clause)
        changes.append(reader.change(clause))
        while reader.take_if(","):
            changes.append(reader.change(clause))
    return reader.done(changes)


@lru_cache(maxsize=1000)
def projection(text: str) -> Parsed:
    """A ProjectionExpression; its meaning is a list of names as written. Raises: AwsError, UnsupportedError."""
    reader = _Reader(text)
    names = [reader.name()]
    while reader.take_if(","):
        names.append(reader.name())
    return reader.done(names)


_TOKEN = re.compile(r"\s*(#\w+|:\w+|[A-Za-z_]\w*|<=|>=|<>|[=<>(),+\-.\[\]])")
_WORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_CLAUSES = frozenset({"SET", "REMOVE", "ADD", "DELETE"})


@lru_cache(maxsize=1)
def _reserved() -> frozenset[str]:
    from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

    return frozenset(word.upper() for word in ReservedKeywords.get_reserved_keywords())


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._at = 0
        self._names: set[str] = set()
        self._values: set[str] = set()

    def _split(self, text: str) -> list[str]:
        tokens, at = [], 0
        stripped = text.rstrip()
        while at < len(stripped):
            match = _TOKEN.match(stripped, at)
            if match is None:
                raise invalid(f"Invalid expression: Syntax error; token: {stripped[at:]}")
            word = match[1]
            tokens.append(word.upper() if word.upper() in _WORDS else word)
            at = match.end()
        if not tokens:
            raise invalid("Invalid expression: The expression can not be empty;")
        if "." in tokens or "[" in tokens:
            raise UnsupportedError(f"paths into maps and lists are not known: {text}")
        return tokens

    def done(self, meaning: Any) -> Parsed:
        if self.more:
            raise self._wrong()
        return Parsed(meaning, frozenset(self._names), frozenset(self._values))

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self.more else ""

    def _wrong(self) -> Exception:
        return invalid(f"Invalid expression: Syntax error; token: {self._next or '<EOF>'}, in: {self._text}")

    def _take(self) -> str:
        if not self.more:
            raise self._wrong()
        self._at += 1
        return self._tokens[self._at - 1]

    def take_if(self, token: str) -> bool:
        if self._next != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self.take_if(token):
            raise self._wrong()

    def _calls(self) -> bool:
        """Whether a function's name comes next."""
        return self._next[:1].isalpha() and self._tokens[self._at + 1 : self._at + 2] == ["("]

    def name(self) -> str:
        """An attribute, as written."""
        token = self._next
        if token.startswith("#"):
            self._names.add(token)
        elif not re.match(r"[A-Za-z_]", token) or token in _WORDS:
            raise self._wrong()
        elif token.upper() in _reserved():
            raise invalid(f"Invalid expression: Attribute name is a reserved keyword; reserved keyword: {token}")
        return self._take()

    def _value(self) -> str:
        if not self._next.startswith(":"):
            raise self._wrong()
        self._values.add(self._next)
        return self._take()

    # Conditions

    def either(self) -> Condition:
        parts = [self._all()]
        while self.take_if("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda item, given: any([p(item, given) for p in parts])

    def _all(self) -> Condition:
        parts = [self._not()]
        while self.take_if("AND"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda item, given: all([p(item, given) for p in parts])

    def _not(self) -> Condition:
        if self.take_if("NOT"):
            negated = self._not()
            return lambda item, given: not negated(item, given)
        if self.take_if("("):
            inner = self.either()
            self._expect(")")
            return inner
        if self._calls() and self._next != "size":
            return self._function()
        return self._comparison()

    def _function(self) -> Condition:
        function = self._take()
        self._expect("(")
        name = self.name()
        if function in ("attribute_exists", "attribute_not_exists"):
            self._expect(")")
            wanted = function == "attribute_exists"
            return lambda item, given: (attribute(name, given) in item) is wanted
        if function not in ("begins_with", "contains"):
            raise UnsupportedError(f"the function {function} is not known")
        self._expect(",")
        argument = self._value()
        self._expect(")")
        test = _begins if function == "begins_with" else _contains
        return lambda item, given: test(item.get(attribute(name, given)), value_of(argument, given))

    def _comparison(self) -> Condition:
        left = self._operand()
        operator = self._take()
        if operator in _COMPARISONS:
            return _compared(operator, left, self._operand())
        if operator == "BETWEEN":
            low = self._operand()
            self._expect("AND")
            return _between(left, low, self._operand())
        if operator != "IN":
            self._at -= 1
            raise self._wrong()
        self._expect("(")
        listed = [self._operand()]
        while self.take_if(","):
            listed.append(self._operand())
        self._expect(")")
        tests = [_compared("=", left, each) for each in listed]
        return lambda item, given: any([test(item, given) for test in tests])

    def _operand(self) -> Operand:
        if self._next.startswith(":"):
            value = self._value()
            return lambda item, given: value_of(value, given)
        if self._calls() and self._next == "size":
            self._at += 2
            sized = self.name()
            self._expect(")")
            return lambda item, given: _size(item.get(attribute(sized, given)))
        name = self.name()
        return lambda item, given: item.get(attribute(name, given))

    # Key conditions

    def key_part(self) -> KeyPart:
        if self._calls():
            if self._take() != "begins_with":
                self._at -= 1
                raise self._wrong()
            self._expect("(")
            name = self.name()
            self._expect(",")
            prefix = self._value()
            self._expect(")")
            return name, "begins_with", (prefix,)
        name, operator = self.name(), self._take()
        if operator == "BETWEEN":
            low = self._value()
            self._expect("AND")
            return name, operator, (low, self._value())
        if operator not in _COMPARISONS or operator == "<>":
            raise invalid("Invalid operator used in KeyConditionExpression")
        return name, operator, (self._value(),)

    # Updates

    def clause(self) -> str:
        if self._next not in _CLAUSES:
            raise self._wrong()
        return self._take()

    def change(self, clause: str) -> Change:
        name = self.name()
        if clause == "REMOVE":
            return clause, name, None
        if clause == "SET":
            self._expect("=")
            return clause, name, self._sum()
        value = self._value()
        return clause, name, lambda item, given: value_of(value, given)

    def _sum(self) -> Operand:
        left = self._term()
        if self._next not in ("+", "-"):
            return left
        sign = 1 if self._take() == "+" else -1
        right = self._term()
        return lambda item, given: {"N": added(_number(left(item, given)), _number(right(item, given)), sign)}

    def _term(self) -> Operand:
        if self._calls():
            function = self._take()
            if function != "if_not_exists":
                raise UnsupportedError(f"the function {function} is not known")
            self._expect("(")
            name = self.name()
            self._expect(",")
            otherwise = self._term()
            self._expect(")")
            return lambda item, given: item.get(attribute(name, given)) or otherwise(item, given)
        operand = self._operand()

        def present(item: Item, given: Given) -> Value:
            found = operand(item, given)
            if found is None:
                raise invalid("The provided expression refers to an attribute that does not exist in the item")
            return found

        return present


def _compared(operator: str, left: Operand, right: Operand) -> Condition:
    def compare(item: Item, given: Given) -> bool:
        a, b = left(item, given), right(item, given)
        if a is None or b is None:
            # What is not there differs from whatever is.
            return operator == "<>" and (a is None) != (b is None)
        if operator == "=":
            return equal(a, b)
        if operator == "<>":
            return not equal(a, b)
        return ordered(operator, a, b)

    return compare


def _between(operand: Operand, low: Operand, high: Operand) -> Condition:
    above, below = _compared(">=", operand, low), _compared("<=", operand, high)
    return lambda item, given: above(item, given) and below(item, given)


def _begins(value: Value | None, prefix: Value) -> bool:
    if value is None or value.keys() != prefix.keys():
        return False
    ((_, held),), ((_, start),) = value.items(), prefix.items()
    return bool(held.startswith(start))


def _contains(value: Value | None, wanted: Value) -> bool:
    if value is None:
        return False
    ((kind, held),), ((wanted_kind, what),) = value.items(), wanted.items()
    if kind == "L":
        return any(equal(each, wanted) for each in held)
    return wanted_kind == kind[0] and what in held


def _size(value: Value | None) -> Value | None:
    if value is None:
        return None
    ((kind, held),) = value.items()
    return {"N": str(value_size(value) if kind in ("S", "B") else len(held))}


def _number(value: Value | None) -> str:
    if value is None or "N" not in value:
        raise invalid("An operand in the update expression has an incorrect data type")
    return str(value["N"])
