"""How callers page through listings."""

from pydantic import ConfigDict, Field

from shared.model.base import Model


class PageQuery(Model):
    """A page of a listing."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=500)
