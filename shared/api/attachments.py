"""What callers send and read about files to attach."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.policy.attachments import ALLOWED, KEEP_DAYS, MAX_BYTES

_STRICT = ConfigDict(extra="forbid")


class AttachmentCreate(Model):
    """A file to upload."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=255, description=f"As the recipient sees it; one of {ALLOWED}.")
    size: Annotated[int, Field(ge=1, le=MAX_BYTES), BeforeValidator(whole_number)]
    """In bytes, exactly."""
    content_type: str | None = Field(default=None, min_length=1, max_length=255)
    """Follows from the name's ending if it is not given."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the file, in hex; the upload takes no other bytes. The same name, size and digest get the same id again from
    keys of the same kind, so that a send which is repeated with the same file is the same request."""


class AttachmentUpload(Model):
    """Where to upload the file: a POST of `multipart/form-data` to `url` with these fields and, last, the file as
    `file`. It takes no other size or type, and must begin before `expires_at`."""

    id: str
    name: str
    content_type: str
    size: int
    url: str
    fields: dict[str, str]
    expires_at: datetime


class AttachmentView(Model):
    """A file that is there."""

    id: str
    name: str
    content_type: str
    size: int
    uploaded_at: datetime
    ends_at: datetime = Field(description=f"From then on, {KEEP_DAYS} days after the upload, no request may name it.")
