"""The `mepush` command and the Python client of the API: `from mepush import Client`.

Loads nothing by itself, as functions carry it for `mepush.sheets` and have neither client nor command.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mepush.client.api import Client
    from mepush.client.errors import ApiError, ConnectionProblemError, MepushError, UsageError

__all__ = ["ApiError", "Client", "ConnectionProblemError", "MepushError", "UsageError"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("mepush.client.api" if name == "Client" else "mepush.client.errors"), name)
