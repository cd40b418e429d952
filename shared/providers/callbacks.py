"""Callbacks: providers that say by a request of their own what became of messages, and what they are answered.

A vendor that does so has a module `callback` in its folder, and `callback=True` in what it declares. Nobody needs a key
for the route: the account's own token in the path opens it, and what else a vendor has to prove who calls (such as a
signature) is the module's to check.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast

from msgspec import Struct

from shared.providers.spec import ProviderSpec

MAX_ARRIVED_BYTES = 200_000
"""Of each that goes on the queue, in UTF-8: even if every other sign of it has to be escaped, a message takes it."""


class CallbackRefusedError(Exception):
    """What was asked is not from the vendor, or cannot be read; says why, without anything of its content."""

    status: ClassVar[int] = 400
    """By which it is refused."""


class CallbackForgedError(CallbackRefusedError):
    """What was asked does not prove that it is from the vendor."""

    status = 403


class Asked(Struct, frozen=True):
    """A request of a vendor's."""

    method: str
    """`GET` or `POST`."""
    query: Mapping[str, str]
    """Decoded."""
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes


class Answered(Struct, frozen=True):
    """What a vendor is answered, and what it said."""

    body: str
    status: int = 200
    content_type: str = "application/json"
    arrived: tuple[str, ...] = ()
    """What goes on the queue of receipts, each for the vendor's module `receipts` to read, of at most
    `MAX_ARRIVED_BYTES`. It is there before the vendor gets its answer."""


class CallbackModule(Protocol):
    """The names that a vendor's module `callback` must define."""

    def answer(self, asked: Asked, secret: Mapping[str, str], settings: Mapping[str, Any]) -> Answered:
        """What a request of the vendor's says, and what to answer.

        secret: of the account; empty unless the vendor declares `callback_needs_secret`. settings: as they are stored,
        so a setting that an account does not have may be missing. Raises: CallbackRefusedError.
        """
        ...


def callback_of(spec: ProviderSpec) -> CallbackModule:
    """The module that answers a vendor's callbacks. Raises: ModuleNotFoundError if it has none."""
    return _module(f"shared.providers.{spec.channel}.{spec.name}.callback")


@cache
def _module(name: str) -> CallbackModule:
    return cast(CallbackModule, import_module(name))
