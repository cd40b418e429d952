"""Event patterns of rules: which events a rule is about.

After the EventBridge user guide, "Creating event patterns" and "Comparison operators for use in event patterns". What
is not known here is an error: a pattern that is half understood would match what it should not.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local.template import TemplateError

Test = Callable[[list[Any]], bool]
"""Of the plain values that an event has in one place: none if there is nothing, several for a list."""
_NOTHING = object()
"""What an event has in a place that it has not; null is a value."""


def check_pattern(rule: str, pattern: Mapping[str, Any]) -> None:
    """Raises: TemplateError for a pattern that the local stack cannot be faithful to. rule: names it."""
    _walk(rule, pattern, {})


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event fits a pattern. Raises: TemplateError as `check_pattern`."""
    return _walk("a pattern", pattern, event)


def _walk(path: str, pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    # All of it is looked at, whatever was found before, so that checking and matching are one.
    return all([_field(f"{path}.{name}", wanted, event.get(name, _NOTHING)) for name, wanted in pattern.items()])


def _field(path: str, wanted: Any, found: Any) -> bool:
    if path.rpartition(".")[2] == "$or":
        raise TemplateError(f"{path}: the local stack does not know $or in patterns")
    if isinstance(wanted, Mapping):
        inside = [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, Mapping)]
        return any([_walk(path, wanted, each) for each in inside or [{}]])
    if not isinstance(wanted, list) or not wanted:
        raise TemplateError(f"{path}: a pattern has a list of values here, or an object")
    values = list(_plain(found))
    return any([_test(path, each)(values) for each in wanted])


def _plain(found: Any) -> Iterator[Any]:
    """The plain values in one place."""
    if isinstance(found, list):
        for each in found:
            yield from _plain(each)
    elif found is not _NOTHING and not isinstance(found, Mapping):
        yield found


def _test(path: str, wanted: Any) -> Test:
    if not isinstance(wanted, Mapping):
        return lambda values: any(_same(value, wanted) for value in values)
    if len(wanted) != 1:
        raise TemplateError(f"{path}: an operator stands alone in its object")
    ((operator, argument),) = wanted.items()
    match operator:
        case "prefix" if isinstance(argument, str):
            return lambda values: any(_begins(value, argument) for value in values)
        case "exists" if isinstance(argument, bool):
            return lambda values: bool(values) == argument
        case "anything-but":
            excluded = _excluded(path, argument)
            return lambda values: any(not excluded([value]) for value in values)
    raise TemplateError(f"{path}: the local stack does not know the operator {operator} with this argument")


def _excluded(path: str, argument: Any) -> Test:
    """What `anything-but` leaves out: a value, a list of values, or what has a prefix."""
    if isinstance(argument, Mapping) and set(argument) != {"prefix"}:
        raise TemplateError(f"{path}: the local stack knows anything-but with values and with prefix only")
    tests = [_test(path, each) for each in (argument if isinstance(argument, list) else [argument])]
    return lambda values: any(test(values) for test in tests)


def _begins(value: Any, prefix: str) -> bool:
    return isinstance(value, str) and value.startswith(prefix)


def _same(value: Any, wanted: Any) -> bool:
    # Numbers are compared as they are written: 300 is not 300.0, and 1 is not true.
    return type(value) is type(wanted) and value == wanted
