"""What callers send and read about accounts, templates and keys."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, StrictBool

from shared.api.fields import Moment, Ttl, Weight, moment, moment_or_none
from shared.api.governance import ReviewView
from shared.model.accounts import AccountState, Rate, UnitFee
from shared.model.address import mask_recipient
from shared.model.base import Model
from shared.model.content import Content
from shared.model.keys import ApiKey
from shared.model.numbers import whole_number
from shared.model.policies import Policies
from shared.model.templates import Fallback, Tracking, TrackingMode, tracking_of
from shared.model.tenants import TextsPerDay
from shared.model.topics import TopicId
from shared.model.words import Channel, KeyKind, MessageClass, Scope

_STRICT = ConfigDict(extra="forbid", populate_by_name=True)
AccountId = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Lower-case letters, digits and hyphens.")
TemplateId = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$", description="Lower-case letters, digits and hyphens.")


TrackingIn = Annotated[StrictBool | TrackingMode, AfterValidator(tracking_of)]
"""`true` means `recipient`."""


class AccountCreate(Model):
    """An account to configure. `settings` and `secret` are those of `settings.provider`."""

    model_config = _STRICT

    id: str = AccountId
    name: str = Field(min_length=1, max_length=100)
    settings: dict[str, Any]
    secret: dict[str, Any] = Field(default_factory=dict)
    weight: Weight = 100
    rate: Rate | None = None
    """How fast it may send; without one that of the provider counts, if it has any."""
    fee: UnitFee | None = None
    """What the provider charges for a message (of long text messages: for each part), by which campaigns are estimated;
    without one the provider's list price counts, if it has one."""


class AccountUpdate(Model):
    """What to change; what is absent stays. `settings` replaces all settings, and cannot change the provider."""

    model_config = _STRICT

    name: str | None = Field(default=None, min_length=1, max_length=100)
    settings: dict[str, Any] | None = None
    secret: dict[str, Any] | None = None
    """Needed again if a setting changes that says where the secret goes or whose it is, such as a host, a port, a
    username or an app's id; a stored secret stays with what it was given for."""
    weight: Weight | None = None
    rate: Rate | None = None
    """`rate` and `fee`: replace the whole rate or fee; null takes it away, so that the provider's counts again."""
    fee: UnitFee | None = None
    state: AccountState | None = None


class AccountView(Model):
    """An account."""

    id: str
    name: str
    channel: Channel
    provider: str
    settings: dict[str, Any]
    secret: dict[str, str]
    """The names of its secret fields, each masked."""
    weight: int
    rate: Rate | None
    """The one that counts, if any."""
    rate_from: Literal["account", "verified", "provider"] | None
    """Who said it: people (`account`), the provider when the account was last verified (`verified`), or what is known
    of all accounts of the provider (`provider`)."""
    fee: UnitFee | None
    """`fee` and `fee_from`: the same of what a message costs."""
    fee_from: Literal["account", "provider"] | None
    state: AccountState
    callback_url: str | None = None
    """Where the provider is to call to say what became of messages, for providers that do so. It opens the way by
    itself, so only who may change it is shown it, and only of one account at a time."""
    created_at: datetime
    updated_at: datetime


class AccountList(Model):
    """A page of accounts by id."""

    accounts: list[AccountView]
    cursor: str | None = None


class VerificationView(Model):
    """What trying an account showed, in words."""

    ok: bool
    summary: str
    action: str
    raw_code: str
    rate: Rate | None
    """How fast the provider says that it may send; it counts from now on unless the account has one of its own."""


class VersionCreate(Model):
    """Content to save as a new version, with sample variables that it must render with."""

    model_config = _STRICT

    content: Content
    sample: dict[str, JsonValue] = Field(default_factory=dict)
    note: str = Field(default="", max_length=500)


class TemplateCreate(VersionCreate):
    """A template and its first version."""

    id: str = TemplateId
    name: str = Field(min_length=1, max_length=100)
    message_class: MessageClass = Field(alias="class")
    accounts: list[str] = Field(min_length=1, max_length=10)
    ttl_seconds: Ttl | None = None
    policies: Policies | None = None
    fallback: Fallback | None = None
    topic: TopicId | None = None
    """What it is about, if it advertises: one of the settings' topics, from which recipients may unsubscribe."""
    tracking: TrackingIn = False
    """Whether its messages tell that they were opened, and which links were clicked: of each message (`recipient`, also
    `true`), or counted without anybody knowing whose it was (`anonymous`); not for verification codes."""


class TemplateUpdate(Model):
    """What to change; what is absent stays. `policies` replaces all that the template has of its own."""

    model_config = _STRICT

    name: str | None = Field(default=None, min_length=1, max_length=100)
    accounts: list[str] | None = Field(default=None, min_length=1, max_length=10)
    ttl_seconds: Ttl | None = None
    policies: Policies | None = None
    fallback: Fallback | None = None
    topic: TopicId | None = None
    tracking: TrackingIn | None = None


class TemplateCopy(Model):
    """Where to copy a template to."""

    model_config = _STRICT

    id: str = TemplateId
    name: str | None = Field(default=None, min_length=1, max_length=100)


class LinkQuery(Model):
    """Where a link is to lead."""

    model_config = _STRICT

    target: str = Field(min_length=1, max_length=2000)
    """A web address."""


class ConstantLink(Model):
    """A link that is the same for everybody: it counts for a template who follows it, and says of nobody."""

    url: str
    characters: int
    """Of it: a text has 70 or 160 in one part."""
    target: str
    template: str
    version: int
    """For which it counts."""


class VersionView(Model):
    """A version of a template, with its placeholders."""

    template: str
    version: int
    content: Content
    required: list[str]
    optional: list[str]
    sample: dict[str, JsonValue]
    note: str
    author: str
    """The id of the API key that saved it."""
    review: ReviewView
    published: bool
    created_at: datetime


class TemplateView(Model):
    """A template; `current` is the published version, or else the latest."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    name: str
    channel: Channel
    message_class: MessageClass = Field(alias="class")
    accounts: list[str]
    latest: int
    published: int | None
    archived: bool
    ttl_seconds: int | None
    policies: Policies | None
    fallback: Fallback | None
    topic: str | None
    tracking: Tracking
    current: VersionView
    created_at: datetime
    updated_at: datetime


class TemplateSummary(Model):
    """A template in a list."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    name: str
    channel: Channel
    message_class: MessageClass = Field(alias="class")
    accounts: list[str]
    latest: int
    published: int | None
    archived: bool
    ttl_seconds: int | None
    policies: Policies | None
    fallback: Fallback | None
    topic: str | None
    tracking: Tracking
    updated_at: datetime


class TemplateList(Model):
    """A page of templates by id."""

    templates: list[TemplateSummary]
    cursor: str | None = None


class PreviewRequest(Model):
    """Variables to render with; the version's own sample where absent."""

    model_config = _STRICT

    variables: dict[str, JsonValue] | None = None


class Preview(Model):
    """The rendered content, and for each account of the template what its provider would refuse."""

    rendered: dict[str, Any]
    problems: dict[str, list[str]]


class KeyCreate(Model):
    """A key to make."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=100)
    kind: KeyKind = KeyKind.LIVE
    """`live`; `team`, which reaches its recipients only; `test`, which reaches nobody: the address says what is played,
    such as `bounced@example.com`, a number that ends in 0002, or the WeCom user `bounced`; likewise `throttled` (0003),
    `unknown` (0004) and `refused` (0005); any other is `delivered`."""
    scopes: list[Scope] = Field(min_length=1)
    recipients: list[str] = Field(default_factory=list, max_length=100)
    """For team keys, as `channel:address`."""
    expires_at: Moment | None = None
    texts_per_day: Annotated[TextsPerDay, BeforeValidator(whole_number)] | None = None
    """How many texts it may send on a day (UTC), campaigns' not among them; without one `texts_per_key_per_day` of the
    settings counts, or what the maker has."""


class KeyView(Model):
    """A key, without its secret."""

    id: str
    name: str
    kind: KeyKind
    scopes: list[Scope]
    recipients: list[str]
    created_at: datetime
    expires_at: datetime | None
    texts_per_day: int | None
    revoked_at: datetime | None
    created_by: str | None
    """The id of the key that made it; null for one made by `infra.first_key`, or before this was known."""
    lineage: list[str]
    """All keys that it descends from, the first one first; they and it count as one person where two are needed."""
    ended_by: str | None
    """Which of them has ended, and it with that; null while none has."""

    @classmethod
    def of(cls, key: ApiKey, ended_by: str | None = None) -> Self:
        """A key as callers see it. ended_by: which of its makers has ended."""
        times = {
            "created_at": moment(key.created_at),
            "expires_at": moment_or_none(key.expires_at),
            "revoked_at": moment_or_none(key.revoked_at),
        }
        made = {"created_by": key.lineage[-1] if key.lineage else None, "ended_by": ended_by}
        return cls.model_validate(key.model_dump(exclude={"hash", "tenant"}) | times | made)


class KeyAudit(KeyView):
    """A key in the audit log, which is kept for good: the recipients are masked."""

    @classmethod
    def of(cls, key: ApiKey, ended_by: str | None = None) -> Self:
        """A key for the audit log."""
        return super().of(
            key.model_copy(update={"recipients": [mask_recipient(each) for each in key.recipients]}), ended_by
        )


class KeyCreated(KeyView):
    """A new key; `key` is shown this once."""

    key: str


class KeyList(Model):
    """A page of keys by id."""

    keys: list[KeyView]
    cursor: str | None = None
