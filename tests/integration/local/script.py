"""What the fake functions do: a test puts a function (event, context, environment) under a fake function's name."""

from collections.abc import Callable
from typing import Any

SCRIPT: dict[str, Callable[[Any, Any, dict[str, str]], Any]] = {}
