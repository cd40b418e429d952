"""Accounts: a provider configured for a tenant. Each provider's file defines its own settings and secret models."""

import ipaddress
from collections.abc import Collection
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from shared.model.words import Channel


class AccountState(StrEnum):
    """Whether routing may choose the account."""

    ACTIVE = "active"
    DISABLED = "disabled"


class ProviderSettings(BaseModel):
    """Base of a provider's settings: everything about an account that is not secret.

    A provider's subclass adds `provider: Literal["<name>"]`, by which settings are told apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str

    def missing_secret(self, given: Collection[str]) -> tuple[str, str] | None:
        """The field of the secret that these settings need and that is not given, and why they need it."""
        return None


class ProviderSecret(BaseModel):
    """Base of a provider's secret: every field is a `SecretStr`, kept in Secrets Manager only."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoSecret(ProviderSecret):
    """For providers that are reached with the function's own role."""


class Account(BaseModel):
    """A configured provider (发送账号). Its secret is kept apart and never part of this.

    weight: the account's share of a template's traffic, 0 to 1,000.
    secret_version: grows with every change of the secret, so that cached clients are rebuilt.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    tenant: str
    name: str = Field(min_length=1, max_length=100)
    channel: Channel
    provider: str
    settings: dict[str, Any]
    weight: int = Field(default=100, ge=0, le=1000)
    state: AccountState = AccountState.ACTIVE
    secret_version: int = 0
    created_at: int
    updated_at: int


def is_loopback(host: str) -> bool:
    """Whether a host name or literal address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_endpoint(url: str, vendor_domains: tuple[str, ...]) -> str:
    """Return `url` if it is https on a vendor's domain, or loopback (the sandbox).

    Keeps an account from turning the platform into a proxy to other hosts.
    Raises: ValueError with what to do.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if is_loopback(host) and parts.scheme in {"http", "https"}:
        return url
    if parts.scheme == "https" and any(host == d or host.endswith("." + d) for d in vendor_domains):
        return url
    raise ValueError(f"give an https address on {' or '.join(vendor_domains)}")
