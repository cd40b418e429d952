"""Where an account's bounces come to: a mailbox that the platform reads."""

import re
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from shared.model.base import Model
from shared.net.hosts import read_host
from shared.net.tls import check_ca_pem


class BounceMailbox(Model):
    """A mailbox that is read by IMAP, encrypted from the first byte; nothing in it is changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = Field(default=993, ge=1, le=65535)
    """Of IMAP over TLS."""
    username: str | None = Field(default=None, min_length=1, max_length=320)
    """That of the account if None."""
    folder: str = Field(default="INBOX", min_length=1, max_length=200)
    ca_pem: str | None = Field(default=None, max_length=20_000)
    """Trust this certificate authority instead of the public ones."""

    @field_validator("host")
    @classmethod
    def _named(cls, host: str) -> str:
        return read_host(host)

    @field_validator("username", "folder")
    @classmethod
    def _on_one_line(cls, text: str | None) -> str | None:
        if text is not None and not text.isprintable():
            raise ValueError("give it without line breaks and control characters")
        return text

    @field_validator("ca_pem")
    @classmethod
    def _readable(cls, pem: str | None) -> str | None:
        return None if pem is None else check_ca_pem(pem)


def own_addresses(settings: dict[str, Any], login: str) -> frozenset[str]:
    """The account's addresses in lower case: a bounce that names one of these names no recipient."""
    named = (settings.get("from_address"), settings.get("reply_to"), settings.get("username"), login)
    return frozenset(str(each).lower() for each in named if each and re.search("@", str(each)))
