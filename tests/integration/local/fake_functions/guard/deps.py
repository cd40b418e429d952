"""Keeps what the environment was when the function was started."""

import os
from functools import cache


@cache
def deps() -> dict[str, str]:
    """The environment at the first call."""
    return dict(os.environ)
