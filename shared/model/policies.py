"""Sending policies: what people decide about when, how often and by which accounts messages go out.

Each is set per class for a whole tenant, and per template over that. What is not set is off.
"""

from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema

from shared.model.base import Model
from shared.model.numbers import whole_number

DAY_MINUTES = 24 * 60
MAX_WINDOWS = 14
MAX_SPREAD_MINUTES = 240
MAX_DUPLICATE_SECONDS = 7 * 86_400
MAX_CAP = 20


def checked_zone(name: str) -> str:
    """Return the IANA name of a time zone if there is such a zone. Raises: ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # no such zone; no name at all; a folder
        raise ValueError("give the IANA name of a time zone, such as Asia/Shanghai") from None
    return name


class _ZoneNames:
    """Lists the names of all zones in the API's description."""

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "enum": sorted(available_timezones())}


_Number = BeforeValidator(whole_number)
ZoneName = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(checked_zone), _ZoneNames]
WallClock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day, such as 22:00."""


class Weekday(StrEnum):
    """A day of the week, in the order of `datetime.weekday`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class PolicyModel(Model):
    """Base of what people set: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class QuietWindow(PolicyModel):
    """A window on each of `days`, from `start` to `end` of the recipient's wall clock.

    An end that is not later than the start lies on the next day; the day is that of the start.
    """

    days: tuple[Weekday, ...] = Field(default=tuple(Weekday), min_length=1, max_length=7)
    start: WallClock
    end: WallClock


class QuietAction(StrEnum):
    """What becomes of a message in quiet hours: it waits for their end, or is not sent at all."""

    DEFER = "defer"
    DROP = "drop"


class QuietHours(PolicyModel):
    """When recipients are left alone. Without windows: never."""

    windows: tuple[QuietWindow, ...] = Field(default=(), max_length=MAX_WINDOWS)
    action: QuietAction = QuietAction.DEFER
    spread_minutes: Annotated[int, Field(ge=0, le=MAX_SPREAD_MINUTES), _Number] = 15
    """Deferred messages go out over this time after the end, so that they do not all go at once."""


class Cap(PolicyModel):
    """At most so many messages of a class to a recipient on a channel, within any `minutes` or, without them, on a
    calendar day of the tenant's time zone."""

    count: Annotated[int, Field(ge=0, le=MAX_CAP), _Number]
    """0 for no cap."""
    minutes: Annotated[int, Field(ge=1, le=DAY_MINUTES), _Number] | None = None


class Policies(PolicyModel):
    """What is set; None leaves it to the defaults."""

    quiet_hours: QuietHours | None = None
    duplicate_seconds: Annotated[int, Field(ge=0, le=MAX_DUPLICATE_SECONDS), _Number] | None = None
    """For so long after a message no other one of the same template with the same content goes to the same recipient; 0
    for no such check."""
    cap: Cap | None = None
    weights: dict[str, Annotated[int, Field(ge=0, le=1000), _Number]] | None = Field(default=None, max_length=10)
    """Shares of the traffic by account, 0 to 1,000, over the accounts' own."""

    def over(self, defaults: "Policies") -> "Policies":
        """These policies, and the defaults for what they leave open."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return defaults.model_copy(update={name: value for name, value in found.items() if value is not None})


NOTHING_SET = Policies.model_construct()
"""Made without a validator, which nothing may need for long."""


class ClassPolicies(PolicyModel):
    """The defaults of a tenant, per class."""

    verification: Policies = NOTHING_SET
    notification: Policies = NOTHING_SET
    marketing: Policies = NOTHING_SET

    @model_validator(mode="after")
    def _codes_do_not_wait(self) -> Self:
        if self.verification.quiet_hours is not None:
            raise ValueError("codes are sent at any hour: leave verification.quiet_hours out")
        return self
