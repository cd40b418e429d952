"""Logging of errors without what they say: messages of exceptions quote addresses, variables and secrets."""

from pathlib import PurePath
from traceback import extract_tb
from typing import Any

from aws_lambda_powertools import Logger

FRAMES = 12


def log_error(logger: Logger, text: str, error: BaseException, **fields: Any) -> None:
    """Log an error's type and the places it passed through, innermost last; never its message."""
    logger.error(text, error=_name(error), cause=_name(error.__cause__), places=places(error), **fields)


def places(error: BaseException) -> list[str]:
    """Where an error was raised, such as `sending.py:120 send`, the last frames only."""
    frames = extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _name(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__module__}.{type(error).__qualname__}"
