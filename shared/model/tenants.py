"""Tenants: a single team has one, `default`, and never sees it."""

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

DEFAULT_TENANT = "default"


class TenantName(BaseModel):
    """A tenant as the list of all tenants names it."""

    id: str


class Tenant(BaseModel):
    """What a tenant's messages need everywhere.

    salt: keys the recipients' tags; drawn once, never changed (the tags would change with it).
    region: the country that phone numbers without a prefix belong to. time_zone: an IANA name.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    salt: Base64Bytes
    region: str = Field(default="CN", pattern=r"^[A-Z]{2}$")
    time_zone: str = "Asia/Shanghai"
    created_at: int


class TenantSettings(BaseModel):
    """One version of what people decide for a whole tenant; never changed once saved.

    review_required: only approved versions of templates can be published. restored: the version whose values it took.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 0
    review_required: bool = False
    changed_by: str = ""
    changed_at: int | None = None
    restored: int | None = None
