"""Verifications: what callers ask for to have a code sent and checked, and what they are told."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from shared.api.fields import moment, moment_or_none
from shared.api.messages import Address, FallbackIn, Variables
from shared.model.base import Model
from shared.model.numbers import whole_number
from shared.model.verifications import State, Verification
from shared.model.words import Channel
from shared.policy.verifying import (
    LEAST_LENGTH,
    MOST_CHECKS,
    MOST_LENGTH,
    MOST_MINUTES,
    Result,
    status_of,
)

_STRICT = ConfigDict(extra="forbid")
_PURPOSE = r"^[a-z0-9][a-z0-9-]{0,39}$"
_LOCALE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$"

Bind = Annotated[str, Field(min_length=1, max_length=200)]


class VerificationStart(Model):
    """Send somebody a code, or the same one again."""

    model_config = _STRICT

    to: Address
    """Where it is sent: a telephone number, an email address or a WeCom member, as the template's channel is."""
    template: str = Field(min_length=1, max_length=60)
    """Of the class `verification`; it shows `{{ code }}`, and `{{ minutes }}` if you like."""
    purpose: str = Field(pattern=_PURPOSE)
    """What it is for, such as `login`: codes for different purposes are different."""
    locale: str | None = Field(default=None, pattern=_LOCALE)
    """The recipient's language, such as `zh-CN`: the template `<template>-zh-cn` is sent if there is one, else
    `<template>-zh`, else `<template>`."""
    variables: Variables = Field(default_factory=dict)
    """Further ones that the template shows."""
    fallback: FallbackIn | None = None
    """Where it is sent instead, if the template falls back to another channel."""
    channel: Channel | None = None
    """Send it by this channel of the template's fallback at once, to its address in `fallback`."""
    bind: Bind | None = None
    """A session, a device or an address of the client; a check is right only with the same. It is kept as a digest."""
    length: Annotated[int, Field(ge=LEAST_LENGTH, le=MOST_LENGTH), BeforeValidator(whole_number)] = 6
    """Of the code, in digits; at most 6 where an account is of Tencent Cloud."""
    valid_minutes: Annotated[int, Field(ge=1, le=MOST_MINUTES), BeforeValidator(whole_number)] = 10
    """How long the code is valid. Sent again, it is so from then on, for an hour in all."""
    reference: str | None = Field(default=None, max_length=100)
    """Your own word for it, shown in the trace."""


class VerificationCheck(Model):
    """A code that somebody entered."""

    model_config = _STRICT

    code: str = Field(min_length=1, max_length=40)
    """Blanks and hyphens do not matter, and full-width digits are digits."""
    bind: Bind | None = None
    """What it was bound to when it was started."""


class VerificationStatus(StrEnum):
    """How far a verification is: only one that is pending can be checked."""

    PENDING = "pending"
    APPROVED = "approved"
    EXPIRED = "expired"
    LOCKED = "locked"
    CANCELLED = "cancelled"


_STATUS = {
    None: VerificationStatus.PENDING,
    Result.USED: VerificationStatus.APPROVED,
    Result.EXPIRED: VerificationStatus.EXPIRED,
    Result.LOCKED: VerificationStatus.LOCKED,
    Result.CANCELLED: VerificationStatus.CANCELLED,
}


class VerificationDetail(Model):
    """A verification, for two days after it was sent last."""

    id: str
    """Also of its first message, whose timeline it leads to."""
    status: VerificationStatus
    channel: Channel
    purpose: str
    template: str
    version: int
    started_at: datetime
    expires_at: datetime
    checks_left: int
    """Until it is locked."""
    messages: list[str]
    """The ids of the messages that carried it, the last one last."""
    decided_at: datetime | None = None
    """When it was approved or cancelled."""

    @classmethod
    def of(cls, found: Verification, now: int) -> "VerificationDetail":
        """now: in milliseconds since the epoch."""
        return cls(
            id=found.id,
            status=_STATUS[status_of(found, now)],
            channel=Channel(found.channel),
            purpose=found.purpose,
            template=found.template,
            version=found.version,
            started_at=moment(found.started_at),
            expires_at=moment(found.valid_until),
            checks_left=0 if found.state is not State.OPEN else MOST_CHECKS - found.checks,
            messages=list(found.messages),
            decided_at=moment_or_none(found.decided_at),
        )


class VerificationStarted(VerificationDetail):
    """A verification that was sent just now."""

    message_id: str
    """Of the message that carries it this time."""
    request_id: str


class VerificationResult(Model):
    """What a check comes to."""

    id: str
    result: Result
    """`approved` is told once: whoever comes second is told `used`."""
    checks_left: int
    """After this one."""
    detail: str
    """What it means, and what to do."""


WORDS = {
    Result.APPROVED: "The code is right: whoever entered it has the address. Let them on.",
    Result.WRONG: "The code is wrong. Let them enter it again.",
    Result.EXPIRED: "The time of the code is over. Start another verification.",
    Result.LOCKED: "Too many wrong codes were entered, so no code counts any more. Start another verification.",
    Result.USED: "It was approved before, and a code is good for once. Start another verification.",
    Result.CANCELLED: "It was cancelled. Start another verification.",
}
"""What is said of each result."""
