"""The guard against SMS pumping: what callers set of it, ask of it, and read."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from shared.api.fields import moment, moment_or_none
from shared.model.address import regions_with_phones
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.pumping import (
    Figures,
    GuardMode,
    NewCountries,
    Places,
    PrefixState,
    Rule,
    Spend,
    VerificationGuard,
)
from shared.policy.pumping import Window

_STRICT = ConfigDict(extra="forbid")
_Whole = BeforeValidator(whole_number)
MOST_MINUTES = 30 * 24 * 60


class Countries:
    """Lists all countries and regions in the API's description."""

    @staticmethod
    def __get_pydantic_json_schema__(core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "enum": sorted(regions_with_phones())}


def known_country(code: str) -> str:
    """A country's code, if there is such a country. Raises: ValueError."""
    if code not in regions_with_phones():
        raise ValueError("give the code of a country or region by ISO 3166, such as CN")
    return code


class VerificationGuardUpdate(Model):
    """What to change of the guard; what is absent stays. Null takes a limit away, and else leaves what is."""

    model_config = _STRICT

    mode: GuardMode | None = None
    """`off` counts and holds nothing, `monitor` says what it would hold, `enforce` holds it."""
    least_started: Annotated[int, Field(ge=10, le=100_000), _Whole] | None = None
    times_usual: Annotated[int, Field(ge=2, le=100), _Whole] | None = None
    least_conversion: Annotated[int, Field(ge=1, le=90), _Whole] | None = None
    new_countries: NewCountries | None = None
    per_bind_per_hour: Places | None = None
    per_day: Places | None = None
    per_country_per_day: (
        Annotated[
            # By a pattern, the description would have to leave out which countries there are.
            dict[Annotated[str, AfterValidator(known_country), Countries], Places],
            Field(max_length=250),
        ]
        | None
    ) = None
    """Replaces what was there."""
    spend_per_day: Spend | None = None

    def applied(self, current: VerificationGuard) -> VerificationGuard:
        """What is set after it."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return current.model_copy(update={k: v for k, v in given.items() if v is not None or k in _LIMITS})


_LIMITS = frozenset({"per_day", "spend_per_day"})


class FiguresView(Model):
    """What a decision rests on."""

    window: str
    """`hour`, `day`, or `trial` for the time since a hold ended."""
    started: int
    usual: float
    matured: int
    """Those older than a minute, whose code could have been entered."""
    approved: int
    peers_matured: int
    """`peers_matured` and `peers_approved`: of other prefixes at the same time."""
    peers_approved: int

    @classmethod
    def of(cls, figures: Figures) -> "FiguresView":
        """They as callers see them."""
        return cls(**{name: getattr(figures, name) for name in cls.model_fields})


class PrefixView(Model):
    """What the guard knows of a prefix."""

    prefix: str
    """The first digits of numbers in E.164, without the +."""
    country: str | None
    started: int
    """`started`, `approved` and `refused`: in the last hour; null for a prefix that is not counted."""
    approved: int
    refused: int
    usual: float
    """Starts in such an hour."""
    conversion: float | None
    """The share of codes older than a minute that were entered; null without any."""
    state: PrefixState | None
    """Null for one that nothing was decided of."""
    since: datetime | None = None
    until: datetime | None = None
    by: str | None = None
    """The guard, or the id of an API key."""
    why: str = ""
    figures: FiguresView | None = None
    enforced: bool = True
    """Not where the guard only monitors."""

    @classmethod
    def made(cls, prefix: str, country: str | None, found: Window, usual: float, rule: Rule | None) -> "PrefixView":
        """A row of the table."""
        told: dict[str, Any] = {} if rule is None else _told(rule)
        return cls(
            prefix=prefix,
            country=country,
            started=found.started,
            approved=found.approved,
            refused=found.refused,
            usual=usual,
            conversion=found.approved / found.matured if found.matured else None,
            **{"state": None, **told},
        )


def _told(rule: Rule) -> dict[str, Any]:
    return {
        "state": rule.state,
        "since": moment(rule.since),
        "until": moment_or_none(rule.until),
        "by": rule.by,
        "why": rule.why,
        "figures": None if rule.figures is None else FiguresView.of(rule.figures),
        "enforced": rule.enforced,
    }


class RuleView(Model):
    """What a person decided of a prefix, as the audit log has it."""

    prefix: str
    state: PrefixState
    since: datetime
    until: datetime | None
    by: str
    why: str

    @classmethod
    def of(cls, rule: Rule) -> "RuleView":
        """It as callers see it."""
        return cls.model_validate({"prefix": rule.prefix, **{k: _told(rule)[k] for k in list(cls.model_fields)[1:]}})


class GuardView(Model):
    """The guard, and what it knows."""

    mode: GuardMode
    prefixes: list[PrefixView]
    """First those of which something was decided, then the others by their starts."""
    more: int
    """How many further first digits are in use; those used longest ago are not shown."""


HandStates = Literal[PrefixState.HELD, PrefixState.BLOCKED, PrefixState.RELEASED]


class HandState(Model):
    """What shall hold for a prefix."""

    model_config = _STRICT

    state: HandStates
    """`held` for a time, `blocked` until somebody releases it, or `released`: the guard does not hold it."""
    minutes: Annotated[int, Field(ge=1, le=MOST_MINUTES), _Whole] | None = None
    """How long; else an hour for `held`, a day for `released`. Not with `blocked`."""
    reason: str = Field(default="", max_length=200)
    """Shown in the table, the audit log and the answer to whoever is refused."""
