"""Topics: what advertising is about, as recipients choose among it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from shared.model.base import Model

MAX_TOPICS = 50
TopicId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Topic(Model):
    """A topic in words, as recipients read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=80, pattern=r"\S")
    """In English, or in whatever language there is."""
    name_zh: str | None = Field(default=None, min_length=1, max_length=80, pattern=r"\S")
    """In Chinese."""
    about: str = Field(default="", max_length=200)
    """What one gets, in a sentence."""
    about_zh: str = Field(default="", max_length=200)
