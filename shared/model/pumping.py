"""SMS pumping: what people set about the guard against it, what it counts by prefix, and what it decided.

A prefix is the first digits of a telephone number in E.164, without the +. The first four name a partition; those of
five to seven digits are told within it by their **suffix**, what they have beyond four digits.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Struct, field
from pydantic import BeforeValidator, ConfigDict, Field

from shared.model.base import Model
from shared.model.numbers import whole_number

SHORTEST, LONGEST = 4, 7
"""Digits of the prefixes that are counted."""
GUARD = "pumping-guard"
"""Who holds and releases prefixes, in the audit log: no key, but the platform itself."""

_Whole = BeforeValidator(whole_number)
Places = Annotated[int, Field(ge=0, le=10_000_000), _Whole]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class GuardMode(StrEnum):
    """What the guard does."""

    OFF = "off"
    """It counts nothing and holds nothing."""
    MONITOR = "monitor"
    """It counts, and says in the audit log and the table what it would hold; everything is sent."""
    ENFORCE = "enforce"


class NewCountries(StrEnum):
    """What becomes of the first codes to a country that the tenant never sent one to."""

    ALLOW = "allow"
    MONITOR = "monitor"
    """They are sent, and the audit log says so."""
    BLOCK = "block"


class Spend(Model):
    """What may be spent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Annotated[float, Field(strict=True, ge=0, le=10_000_000)]
    """In `currency` (ISO 4217, such as `CNY`)."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class VerificationGuard(Model):
    """What people set about codes by SMS. Test keys are neither counted nor held."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: GuardMode = GuardMode.ENFORCE
    least_started: Annotated[int, Field(ge=10, le=100_000), _Whole] = 30
    """A prefix with fewer starts in an hour is never held by itself."""
    times_usual: Annotated[int, Field(ge=2, le=100), _Whole] = 5
    """How many times its usual number of starts a prefix must have to be held."""
    least_conversion: Annotated[int, Field(ge=1, le=90), _Whole] = 25
    """Percent of the codes that must be entered; a prefix above it is never held by itself."""
    new_countries: NewCountries = NewCountries.MONITOR
    per_bind_per_hour: Places = 20
    """Starts with the same `bind`; 0 for any number."""
    per_day: Places | None = None
    """Starts of the tenant on a day (UTC)."""
    per_country_per_day: dict[CountryCode, Places] = Field(default_factory=dict, max_length=250)
    """Country (ISO 3166) -> starts on a day (UTC)."""
    spend_per_day: Spend | None = None
    """What codes may cost on a day (UTC), by the fees that people set for accounts."""


class PrefixState(StrEnum):
    """What holds for a prefix."""

    HELD = "held"
    """No code is sent to it until a time."""
    TRIAL = "trial"
    """A hold ended: some codes are sent, to see whether they are entered."""
    CLEARED = "cleared"
    """A trial went well; kept for a day, since another hold would be longer."""
    RELEASED = "released"
    """A person let it go: the guard does not hold it until a time."""
    BLOCKED = "blocked"
    """A person wants no code sent to it."""


class Figures(Struct, frozen=True):
    """What a decision rests on."""

    window: str
    """`hour`, `day` or `trial`."""
    started: int
    usual: float
    """Starts in such a window."""
    matured: int
    """Starts that are old enough for their code to have been entered."""
    approved: int
    """Of these."""
    peers_matured: int = 0
    """`peers_matured` and `peers_approved`: of other prefixes at the same time."""
    peers_approved: int = 0

    @property
    def conversion(self) -> float:
        """The share of matured starts that led to an approval."""
        return self.approved / self.matured if self.matured else 1.0


class Rule(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What was decided of a prefix. Times are in milliseconds since the epoch."""

    prefix: str
    """One to seven digits."""
    state: PrefixState
    since: int
    until: int | None = None
    """None for as long as nobody changes it."""
    by: str = GUARD
    """The guard, or the id of an API key."""
    times: int = 1
    """The how manieth hold within a day of the last one it is."""
    why: str = ""
    figures: Figures | None = None
    country: str | None = None
    enforced: bool = True
    """Not where the guard only monitored."""

    @property
    def by_hand(self) -> bool:
        """Whether a person decided it."""
        return self.by != GUARD


Counts = dict[str, int]
"""By suffix: the empty one for the first four digits alone."""


class Usual(Struct, frozen=True, array_like=True):
    """What is usual of a prefix at an hour, and what it had in the day before that hour."""

    hour: float = 0
    day: float = 0
    day_started: int = 0
    day_approved: int = 0


NOTHING_USUAL = Usual()


class UsualTable(Struct, frozen=True):
    """What is usual in a partition."""

    hour: int = 0
    """For which hour since the epoch it was worked out; 0 for never."""
    by: dict[str, Usual] = field(default_factory=dict)
    """By suffix."""

    def of(self, suffix: str) -> Usual:
        """Of a prefix."""
        return self.by.get(suffix, NOTHING_USUAL)


class Recent(Struct, frozen=True):
    """What a partition had in the last hour, by minute since the epoch."""

    started: Mapping[int, Counts] = field(default_factory=dict)
    refused: Mapping[int, Counts] = field(default_factory=dict)
    approved: Mapping[int, Counts] = field(default_factory=dict)
    """By the minute in which they were started."""
    usual: UsualTable = field(default_factory=UsualTable)


class HourCounts(Struct, frozen=True, rename={"started": "s", "approved": "a", "day": "d"}):
    """What a partition had in an hour."""

    started: Counts = field(default_factory=dict)
    approved: Counts = field(default_factory=dict)
    day: Counts = field(default_factory=dict)
    """Started in the day that ended with it."""


def suffixes_of(digits: str) -> tuple[str, ...]:
    """The suffixes of a number's four prefixes, the shortest first. digits: a number in E.164 without its +."""
    return tuple(dict.fromkeys(digits[SHORTEST:end] for end in range(SHORTEST, LONGEST + 1)))
