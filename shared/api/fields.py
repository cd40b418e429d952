"""Kinds of fields that requests share: what pydantic would take beyond the API's description is refused. And times, as
answers have them."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from shared.model.numbers import whole_number

MAX_VERSIONS = 999_999

_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}").match


def _text(value: object) -> object:
    # pydantic takes numbers, even as text, for seconds since the epoch.
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE_TIME(value)):
        return value
    raise ValueError("give a time with its offset, such as 2025-01-15T08:00:00Z")


# The bounds stand before the validator: behind it they would be missing from the description.
VersionNumber = Annotated[int, Field(ge=1, le=MAX_VERSIONS), BeforeValidator(whole_number)]
Ttl = Annotated[int, Field(ge=10, le=3 * 86_400), BeforeValidator(whole_number)]
"""Seconds."""
Weight = Annotated[int, Field(ge=0, le=1000), BeforeValidator(whole_number)]
Limit = Annotated[int, Field(ge=1, le=100), BeforeValidator(whole_number)]
"""How many to answer, in a body: a query has only text."""

Moment = Annotated[AwareDatetime, BeforeValidator(_text)]
"""A time in RFC 3339, with its offset."""


def moment(ms: int) -> datetime:
    """Milliseconds since the epoch as callers read a time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def moment_or_none(ms: int | None) -> datetime | None:
    """The same for a time that may not have come."""
    return None if ms is None else moment(ms)
