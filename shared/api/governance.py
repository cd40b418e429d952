"""What callers send and read about reviews, a tenant's settings and the audit log."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
)

from shared.api.fields import Moment, VersionNumber, moment, moment_or_none
from shared.api.paging import PageQuery
from shared.api.pumping import Countries, VerificationGuardUpdate, known_country
from shared.base.channels import CHANNELS
from shared.model.address import mask_recipient
from shared.model.audit import AuditRecord
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.policies import ClassPolicies, Policies, ZoneName
from shared.model.pumping import VerificationGuard
from shared.model.templates import Review, ReviewState
from shared.model.tenants import (
    MAX_BLOCKED_WORDS,
    MAX_COUNTRIES,
    BlockedWord,
    Concurrency,
    Country,
    Deployment,
    RetentionDays,
    TenantSettings,
    TextsPerDay,
)
from shared.model.topics import MAX_TOPICS, Topic, TopicId
from shared.model.words import MessageClass

QueueName = Annotated[str, Field(pattern=rf"^({'|'.join(CHANNELS)})\.({'|'.join(MessageClass)})$")]
_STRICT = ConfigDict(extra="forbid")
MAX_COMMENT = 1_000


class ReviewView(Model):
    """A version's review."""

    state: ReviewState
    submitted_by: str | None
    """`submitted_by` and `decided_by`: ids of API keys."""
    submitted_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    comment: str

    @classmethod
    def of(cls, review: Review) -> Self:
        """A review as callers see it."""
        times = {
            "submitted_at": moment_or_none(review.submitted_at),
            "decided_at": moment_or_none(review.decided_at),
        }
        return cls.model_validate(review.model_dump() | times)


class ApproveRequest(Model):
    """An approval."""

    model_config = _STRICT

    comment: str = Field(default="", max_length=MAX_COMMENT)


class RejectRequest(Model):
    """A rejection, and what is wrong."""

    model_config = _STRICT

    comment: str = Field(min_length=1, max_length=MAX_COMMENT, pattern=r"\S")


class PoliciesUpdate(Model):
    """The defaults of the classes to change; each replaces all of its class."""

    model_config = _STRICT

    verification: Policies | None = None
    notification: Policies | None = None
    marketing: Policies | None = None


class DeploymentUpdate(Model):
    """What to set for the whole deployment, in place of what was set."""

    model_config = _STRICT

    concurrency: Annotated[
        dict[QueueName, Annotated[Concurrency, BeforeValidator(whole_number)]],
        Field(json_schema_extra={"additionalProperties": False}),
    ]
    """Queue, such as `email.marketing`, to how many functions work on it at most; what is not named stays as it is."""


class DeploymentView(Model):
    """What has been set for the whole deployment."""

    concurrency: dict[str, int] = Field(
        description="Queue, such as `email.marketing`, to how many functions work on it at most."
    )
    changed_by: str | None
    """The id of an API key, maybe another tenant's."""
    changed_at: datetime | None

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """It as callers see it."""
        facts = {"changed_by": deployment.changed_by or None, "changed_at": moment_or_none(deployment.changed_at)}
        return cls.model_validate(deployment.model_dump() | facts)


class SettingsUpdate(Model):
    """What to change; what is absent or null stays. Lists and maps replace what was there."""

    model_config = _STRICT

    review_required: StrictBool | None = None
    policies: PoliciesUpdate | None = None
    time_zone: ZoneName | None = None
    blocked_words: list[BlockedWord] | None = Field(default=None, max_length=MAX_BLOCKED_WORDS)
    countries: list[Annotated[Country, AfterValidator(known_country), Countries]] | None = Field(
        default=None, max_length=MAX_COUNTRIES
    )
    topics: Annotated[dict[TopicId, Topic], Field(json_schema_extra={"additionalProperties": False})] | None = Field(
        default=None, max_length=MAX_TOPICS
    )
    """What advertising may be about, in words for recipients, who unsubscribe from one topic or from all."""
    texts_per_key_per_day: Annotated[TextsPerDay, BeforeValidator(whole_number)] | None = None
    texts_abroad_per_key_per_day: Annotated[TextsPerDay, BeforeValidator(whole_number)] | None = None
    verification_guard: VerificationGuardUpdate | None = None
    route_by_conversion: StrictBool | None = None
    keep_addresses: StrictBool | None = None
    retention: (
        Annotated[
            dict[MessageClass, Annotated[RetentionDays, BeforeValidator(whole_number)]],
            Field(json_schema_extra={"additionalProperties": False}),
        ]
        | None
    ) = None
    """Class to the days for which what happened to its messages is kept; of what is not named, as it was deployed. What
    is kept already stays for as long as it was to."""


class SettingsRestore(Model):
    """The version whose values shall count again."""

    model_config = _STRICT

    version: VersionNumber


class SettingsView(Model):
    """A tenant's settings."""

    version: int
    """0 while nobody has changed them."""
    review_required: bool = Field(description="Whether only approved versions of templates can be published.")
    policies: ClassPolicies = Field(description="Defaults of the sending policies, per class; templates come first.")
    time_zone: str | None = Field(description="Of recipients of whom none is known, and of calendar days.")
    blocked_words: list[str] = Field(description="No message is sent that holds one of these, in whatever case.")
    countries: list[str] = Field(
        description="To whose numbers texts go (ISO 3166, such as `CN`); without any, to one's own country alone."
    )
    topics: dict[str, Topic] = Field(description="What advertising may be about; templates name one.")
    texts_per_key_per_day: int = Field(
        description="How many texts a key without a limit of its own may send on a day (UTC); campaigns are exempt."
    )
    texts_abroad_per_key_per_day: int = Field(
        description="How many of these a key may send to numbers outside one's own country."
    )
    verification_guard: VerificationGuard = Field(description="The guard against SMS pumping.")
    route_by_conversion: bool = Field(
        description="Whether an account gets fewer verifications to a country where fewer of its codes are entered."
    )
    keep_addresses: bool = Field(
        description="Whether the timeline keeps whole addresses of new messages, for keys with the scope `unmask`."
    )
    retention: dict[str, int] = Field(
        description="Class to the days for which what happened to its messages is kept; else as it was deployed."
    )
    changed_by: str | None
    """The id of an API key."""
    changed_at: datetime | None
    restored: int | None
    """The version whose values were taken up again."""
    review_off_asked_by: str | None
    """`review_off_asked_by` and `review_off_asked_at`: the key that wants `review_required` switched off. It stays on
    until another person sends the same within a day."""
    review_off_asked_at: datetime | None

    @classmethod
    def of(cls, settings: TenantSettings) -> Self:
        """Settings as callers see them."""
        facts = {"changed_by": settings.changed_by or None, "changed_at": moment_or_none(settings.changed_at)}
        facts |= {
            "review_off_asked_by": settings.review_off_by or None,
            "review_off_asked_at": moment_or_none(settings.review_off_at),
        }
        return cls.model_validate(settings.model_dump() | facts)


class SettingsPage(Model):
    """Versions of the settings by number."""

    settings: list[SettingsView]
    cursor: str | None = None


_Text = Annotated[str, Field(max_length=200)]


class AuditQuery(PageQuery):
    """A page of the audit log, the newest first."""

    after: Moment | None = Field(default=None, description="Records from this time on.")
    before: Moment | None = Field(default=None, description="Records before this time.")
    who: _Text | None = Field(default=None, description="The id of an API key, or `bootstrap`.")
    target: _Text | None = Field(
        default=None,
        description="What was changed, and all that belongs to it, such as `account/mail`, `template` or `settings`.",
    )
    action: _Text | None = Field(default=None, description="The id of an operation, or `unmask`.")


class AuditView(Model):
    """One change, or one look at whole addresses."""

    id: str
    at: datetime
    who: str
    """The id of the API key, or `bootstrap`."""
    who_name: str
    action: str
    target: str
    """Kind and id of what was changed."""
    changed: list[str]
    """The fields that differ, as paths."""
    before: dict[str, Any] | None
    """`before` and `after`: as the API shows it, null where there was nothing; a large value is its SHA-256 and size.
    """
    after: dict[str, Any] | None

    @classmethod
    def of(cls, record: AuditRecord) -> Self:
        """A record as callers see it. Recipients of keys are masked, also where a record of before has them whole."""
        facts = record.model_dump(exclude={"tenant"}) | {"at": moment(record.at)}
        if record.is_about("key"):
            facts |= {name: _masked(facts[name]) for name in ("before", "after")}
        return cls.model_validate(facts)


def _masked(document: dict[str, Any] | None) -> dict[str, Any] | None:
    recipients = (document or {}).get("recipients")
    if document is None or not isinstance(recipients, list):
        return document
    return {**document, "recipients": [mask_recipient(each) for each in recipients]}


class AuditPage(Model):
    """A page of the audit log. One with a cursor may hold few records, or none, when what is searched for is rare."""

    records: list[AuditView]
    cursor: str | None = None
