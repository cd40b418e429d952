"""Accounts: a provider configured for a tenant. Each provider's file defines its own settings and secret models."""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import ConfigDict, Field, SecretStr, field_validator

from shared.model.base import Model
from shared.model.words import Channel


class AccountState(StrEnum):
    """Whether routing may choose the account."""

    ACTIVE = "active"
    DISABLED = "disabled"


class ProviderSettings(Model):
    """Base of a provider's settings: everything about an account that is not secret.

    A provider's subclass adds `provider: Literal["<name>"]`, by which settings are told apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_secret: ClassVar[frozenset[str]] = frozenset()
    """The settings that may change while the stored secret stays. All others say to whom the secret goes or whose it
    is, so who changes one of them gives the secret again; so does a setting that nobody has thought about."""

    provider: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        unknown = cls.keep_secret - cls.model_fields.keys()
        if unknown:
            raise TypeError(f"{cls.__qualname__}.keep_secret names no settings: {', '.join(sorted(unknown))}")

    @classmethod
    def binding_changes(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
        """The settings that bind the secret and differ; both as stored, a setting that is missing has its default."""
        defaults = {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}
        old, new = {**defaults, **before}, {**defaults, **after}
        return sorted(name for name in (old.keys() | new.keys()) - cls.keep_secret if old.get(name) != new.get(name))

    @classmethod
    def secret_fields(cls, settings: Mapping[str, Any], fields: Collection[str]) -> list[str]:
        """Of the fields that a secret may have those that it may have with these settings, as stored."""
        return list(fields)

    def missing_secret(self, given: Collection[str]) -> tuple[str, str] | None:
        """The field of the secret that these settings need and that is not given, and why they need it."""
        return None

    def server(self) -> tuple[str, str, int] | None:
        """Which setting names a server, its host and its port; None if the provider alone decides that."""
        return None

    def servers(self) -> list[tuple[str, str, int]]:
        """The same of all servers that the platform connects to for the account."""
        named = self.server()
        return [] if named is None else [named]


class ProviderSecret(Model):
    """Base of a provider's secret: every field is a `SecretStr`, kept in Secrets Manager only."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def bare_secret(value: SecretStr) -> SecretStr:
    """A secret without the blanks around it that are copied along. Raises: ValueError with what to do."""
    text = value.get_secret_value().strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text or len(text) > 512:
        raise ValueError("give 1 to 512 letters, digits and signs, without blanks")
    return SecretStr(text)


class NoSecret(ProviderSecret):
    """For providers that are reached with the function's own role."""


SLOWEST, FASTEST = 0.001, 10_000
"""Messages a second that a rate can say."""
DEAREST = 1000
"""The highest fee of a message that is no mistake."""


def _number(value: object) -> object:
    # pydantic takes `true` for 1 and "7" for 7: more likely a mistake than a wish.
    if isinstance(value, bool | str):
        raise ValueError("give a number")
    return value


class Rate(Model):
    """How fast an account may send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(ge=SLOWEST, le=FASTEST)
    """Messages, in the long run."""
    burst: int = Field(ge=1, le=FASTEST)
    """How many may go at once after a pause; no window holds more than burst + per_second * its length."""
    per_day: int | None = Field(default=None, ge=1)
    """The most on a day in UTC."""
    code_share: float = Field(default=0.1, ge=0, le=0.5)
    """The part of all of these that is kept for codes, in hundredths, so that they never wait for what has its places
    already; with a burst of 1 there is nothing to part."""

    @field_validator("*", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        return _number(value)


class UnitFee(Model):
    """What the provider charges for one message, or for one part of a long text message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: float = Field(ge=0, le=DEAREST)
    """In `currency` (ISO 4217, such as `CNY`)."""
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    @field_validator("amount", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        return _number(value)

    @field_validator("currency", mode="before")
    @classmethod
    def _a_currency(cls, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
            raise ValueError("give three capital letters, such as CNY or USD")
        return value


class Account(Model):
    """A configured provider (发送账号). Its secret is kept apart and never part of this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    tenant: str
    name: str = Field(min_length=1, max_length=100)
    channel: Channel
    provider: str
    settings: dict[str, Any]
    weight: int = Field(default=100, ge=0, le=1000)
    """The account's share of a template's traffic, 0 to 1,000."""
    rate: Rate | None = None
    """As people set it."""
    verified_rate: Rate | None = None
    """As the provider named it when the account was last verified; without either, the provider's default counts."""
    fee: UnitFee | None = None
    """What a message costs by the contract, for estimates; without one, the provider's list price counts if it has one
    for all."""
    state: AccountState = AccountState.ACTIVE
    secret_version: int = 0
    """Grows with every change of the secret, so that cached clients are rebuilt."""
    callback_generation: int = 0
    """Grows when the callback URL is made anew, so that the old one opens nothing any more."""
    created_at: int
    updated_at: int
