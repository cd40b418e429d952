"""Tenants: a single team has one, `default`, and never sees it."""

from typing import Annotated

from pydantic import Base64Bytes, ConfigDict, Field

from shared.model.base import Model
from shared.model.policies import ClassPolicies, ZoneName
from shared.model.pumping import VerificationGuard
from shared.model.topics import MAX_TOPICS, Topic, TopicId
from shared.model.words import MessageClass

DEFAULT_TENANT = "default"
MAX_BLOCKED_WORDS = 500
MAX_COUNTRIES = 250
TEXTS_PER_DAY = 10_000
TEXTS_ABROAD_PER_DAY = 100
TextsPerDay = Annotated[int, Field(ge=0, le=10_000_000)]
LEAST_DAYS, MOST_DAYS = 7, 1_095
RetentionDays = Annotated[int, Field(ge=LEAST_DAYS, le=MOST_DAYS)]
"""The platform itself needs a message's events for some days: to follow it, and to find it by its receipts."""
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""A country or region by ISO 3166, such as CN."""
BlockedWord = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^\S(.*\S)?$")]
Concurrency = Annotated[int, Field(ge=2, le=1000)]
"""Of an event source mapping (Lambda API reference, ScalingConfig)."""


class TenantName(Model):
    """A tenant as the list of all tenants names it."""

    id: str


class Tenant(Model):
    """What a tenant's messages need everywhere."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    salt: Base64Bytes
    """Keys the recipients' tags; drawn once, never changed (the tags would change with it)."""
    region: str = Field(default="CN", pattern=r"^[A-Z]{2}$")
    """The country that phone numbers without a prefix belong to."""
    time_zone: str = "Asia/Shanghai"
    """An IANA name."""
    created_at: int


class Deployment(Model):
    """What belongs to the whole deployment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: dict[str, Concurrency] = Field(default_factory=dict)
    """Queue, such as `email.marketing` -> how many functions work on it at most; what is not named stays as it was
    deployed, or was set before."""
    changed_by: str = ""
    changed_at: int | None = None
    """Milliseconds since the epoch."""


class TenantSettings(Model):
    """One version of what people decide for a whole tenant; never changed once saved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 0
    review_required: bool = False
    """Only approved versions of templates can be published."""
    policies: ClassPolicies = ClassPolicies.model_construct()
    """Defaults of the sending policies."""
    time_zone: ZoneName | None = None
    """Of recipients of whom none is known, and of calendar days; None for the tenant's."""
    blocked_words: list[BlockedWord] = Field(default_factory=list, max_length=MAX_BLOCKED_WORDS)
    """No message is sent that holds one."""
    concurrency: dict[str, Concurrency] = Field(default_factory=dict)
    """In versions of before only; see `Deployment`."""
    countries: list[Country] = Field(default_factory=list, max_length=MAX_COUNTRIES)
    """To whose numbers texts go; without any, to the own."""
    topics: dict[TopicId, Topic] = Field(default_factory=dict, max_length=MAX_TOPICS)
    """What advertising may be about; recipients unsubscribe from one, or from all."""
    texts_per_key_per_day: TextsPerDay = TEXTS_PER_DAY
    """How many texts a key without a limit of its own has accepted on a day (UTC), campaigns' not among them."""
    texts_abroad_per_key_per_day: TextsPerDay = TEXTS_ABROAD_PER_DAY
    """How many of these, of every key, to numbers outside the tenant's region."""
    verification_guard: VerificationGuard = VerificationGuard.model_construct()
    """The guard against SMS pumping."""
    route_by_conversion: bool = True
    """Accounts of whose codes to a country fewer are entered than of others' get fewer of them."""
    keep_addresses: bool = True
    """The timeline keeps whole addresses, sealed, for who may unmask them."""
    retention: dict[MessageClass, RetentionDays] = Field(default_factory=dict)
    """For how many days the timeline keeps messages of a class; of what is not named, as long as was deployed."""
    changed_by: str = ""
    changed_at: int | None = None
    restored: int | None = None
    """The version whose values it took."""
    review_off_by: str = ""
    """`review_off_by` and `review_off_at`: the key that wants `review_required` switched off, which takes a second
    person, and when; milliseconds since the epoch."""
    review_off_at: int | None = None
