"""How an in-memory service says which operations it has, and which of their parameters it knows."""

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from local.memory.errors import UnsupportedError

Handler = Callable[[Any, Mapping[str, Any]], dict[str, Any]]


def operation(*parameters: str) -> Callable[[Handler], Handler]:
    """Make a method `_name_of_operation` an operation that knows these parameters and no others."""
    known = frozenset(parameters)

    def made(handler: Handler) -> Handler:
        def checked(service: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
            if not asked.keys() <= known:
                raise UnsupportedError(f"{handler.__name__}: {', '.join(sorted(asked.keys() - known))} is not known")
            return handler(service, asked)

        checked.is_operation = True  # type: ignore[attr-defined] # functions take attributes
        return checked

    return made


class Operations:
    """A service whose operations are the methods marked with `operation`.

    passed_on: operations that moto answers, since they say nothing of what is held.
    """

    passed_on: ClassVar[frozenset[str]] = frozenset()
    _handlers: ClassVar[Mapping[str, Handler]] = {}
    _lock: threading.RLock

    @property
    def lock(self) -> Any:
        """Held while the service answers: nothing changes for who has it."""
        return self._lock

    def __init_subclass__(cls) -> None:
        marked = {name: made for name, made in vars(cls).items() if getattr(made, "is_operation", False)}
        cls._handlers = {re.sub(r"_(.)", lambda m: m[1].upper(), name): made for name, made in marked.items()}

    def handles(self, operation_name: str) -> bool:
        """Whether the operation is answered here. Raises: UnsupportedError if it is answered nowhere."""
        if operation_name in self._handlers:
            return True
        if operation_name not in self.passed_on:
            raise UnsupportedError(f"{type(self).__name__} does not know {operation_name}")
        return False

    def answer(self, operation_name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation. Raises: AwsError, UnsupportedError."""
        return self._handlers[operation_name](self, asked)
