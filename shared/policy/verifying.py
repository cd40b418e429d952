"""Verifications: the code that follows from a secret, what a check finds, and whether something may be sent. Pure."""

import hmac
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from shared.errors import TooManyError
from shared.model.verifications import Address, Proof, State, Verification

CODE: Final = "code"
URL: Final = "verification_url"
MINUTES: Final = "minutes"
"""The placeholders of templates; the platform fills them in, so callers give none of them."""
LEAST_LENGTH: Final = 4
MOST_LENGTH: Final = 8
USUAL_LENGTH: Final = 6
"""Of a code, in digits; every provider takes as many."""
MOST_CHECKS: Final = 5
MOST_MINUTES: Final = 60
"""Of a verification, however often it is sent again."""
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
KEPT: Final = 20
"""Verifications of an address; older ones are forgotten."""
MOST_LOCKED: Final = 6
"""Verifications of an address that may be locked within a day: thirty wrong codes. Against these, one of a million
holds out for forty-five years on average."""
_CODE_PURPOSE: Final = b"verify code"
_BIND_PURPOSE: Final = b"verify bind"
_CODE_BYTES: Final = 16
_BIND_BYTES: Final = 16


def code_of(salt: bytes, proof: Proof) -> str:
    """The digits of a verification: `proof.length` of them, the same whenever they are asked for.

    128 bits of a keyed BLAKE2b, modulo a power of ten: no code is likelier than another by more than one part in
    2**100.
    """
    text = f"{proof.id}\x1f{proof.generation}"
    digest = blake2b(text.encode(), key=salt[:64], person=_CODE_PURPOSE, digest_size=_CODE_BYTES).digest()
    return f"{int.from_bytes(digest) % 10**proof.length:0{proof.length}d}"


def bound_to(salt: bytes, given: str) -> str:
    """What is kept of a session, a device or an address that a verification is bound to: 32 hexadecimal digits."""
    return blake2b(given.encode(), key=salt[:64], person=_BIND_PURPOSE, digest_size=_BIND_BYTES).hexdigest()


def as_entered(code: str) -> str:
    """A code without what people and their keyboards put between its digits; full-width digits are digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", code) if not c.isspace() and c not in "-.·")


def variables_of(proof: Proof, salt: bytes) -> dict[str, Any]:
    """What templates show of a verification: in what is rendered alone, and in nothing that waits or is kept."""
    return {CODE: code_of(salt, proof), MINUTES: proof.minutes}


class Result(StrEnum):
    """What a check finds."""

    APPROVED = "approved"
    WRONG = "wrong"
    EXPIRED = "expired"
    LOCKED = "locked"
    USED = "used"
    """It was approved before."""
    CANCELLED = "cancelled"


class Judged(Struct, frozen=True):
    """What a check of a verification comes to."""

    result: Result
    left: int = 0
    """How many checks are left after it."""


def status_of(found: Verification, now: int) -> Result | None:
    """Why a verification cannot be checked any more; None as long as it can. now: in milliseconds since the epoch."""
    if found.state is State.APPROVED:
        return Result.USED
    if found.state is State.CANCELLED:
        return Result.CANCELLED
    # Who waits out a lock has no more tries by that.
    if found.checks >= MOST_CHECKS:
        return Result.LOCKED
    return Result.EXPIRED if now >= found.valid_until else None


def judge(found: Verification, right: bool, now: int) -> Judged:
    """What a check comes to. right: whether the code, and what it is bound to, are right."""
    over = status_of(found, now)
    if over is not None:
        return Judged(over)
    left = MOST_CHECKS - found.checks
    return Judged(Result.APPROVED, left) if right else Judged(Result.WRONG, left - 1)


def matches(found: Verification, code: str, bind: str | None, salt: bytes) -> bool:
    """Whether a check is right: of all that it compares nothing shows in how long it takes.

    code: as entered. bind: a digest (`bound_to`); one that was not asked for does not matter.
    """
    same = hmac.compare_digest(as_entered(code).encode(), code_of(salt, found.proof).encode())
    bound = found.bind is None or hmac.compare_digest((bind or "").encode(), found.bind.encode())
    return same & bound


_PLAYED = {
    "0": Judged(Result.WRONG, MOST_CHECKS - 1),
    "1": Judged(Result.APPROVED),
    "2": Judged(Result.EXPIRED),
    "3": Judged(Result.LOCKED),
    "4": Judged(Result.USED),
    "5": Judged(Result.CANCELLED),
}


def played(found: Verification, code: str) -> Judged | None:
    """What a check by a test key plays, whatever the state: `000000` is wrong, `111111` approved, and so on.

    None for a code that is not of one of these digits: it is checked as any other.
    """
    digits = as_entered(code)
    return _PLAYED.get(digits[:1]) if len(digits) == found.length and len(set(digits)) == 1 else None


class Wanted(Struct, frozen=True, kw_only=True):
    """What a caller asks to be sent."""

    id: str
    """Of the verification, if it is a new one: of the first message to the address."""
    message_id: str
    """Of the message that will carry it: another one's if it goes by another channel."""
    purpose: str
    template: str
    version: int
    channel: str
    kind: str
    length: int
    """0 for a link."""
    minutes: int
    bind: str | None
    prefix: str | None = None
    country: str | None = None
    """Of the number that gets a text (ISO 3166)."""


class TooOftenError(TooManyError):
    """Nothing may be sent to the address now. until: when it may be again, in milliseconds since the epoch."""

    def __init__(self, until: int, *, locked: bool) -> None:
        super().__init__("too often")
        self.until = until
        self.locked = locked
        """For too many wrong codes, and not for too many that were sent."""


def carrying(address: Address, message_id: str) -> Verification | None:
    """The verification that a message carries already."""
    return next((each for each in address.verifications if message_id in each.messages), None)


class Allowed(Struct, frozen=True):
    """How many may be sent to an address."""

    count: int
    """0 for any number."""
    since: int
    """Those count that were sent later, in milliseconds since the epoch."""
    window: int | None
    """How long one counts, in milliseconds; None until the end of the day that began at `since`."""

    def again_at(self, oldest: int) -> int:
        """When one more may be sent, if the oldest that counts was sent then."""
        return self.since + 1 + DAY_MS if self.window is None else oldest + self.window


def start(address: Address, wanted: Wanted, now: int, allowed: Allowed) -> Address:
    """An address after something is sent to it: by a verification that goes on, or by a new one; it is the last one.

    now: in milliseconds since the epoch. Raises: TooOftenError.
    """
    sent = tuple(at for at in address.sent if at > allowed.since)
    if allowed.count and len(sent) >= allowed.count:
        raise TooOftenError(allowed.again_at(sent[-allowed.count]), locked=False)
    locked = [each for each in address.verifications if _locked(each, now)]
    if len(locked) >= MOST_LOCKED:
        raise TooOftenError(locked[-MOST_LOCKED].started_at + DAY_MS, locked=True)
    open_one = next((each for each in reversed(address.verifications) if _goes_on(each, wanted, now)), None)
    generation = address.generation + (open_one is None)
    found = _new(wanted, generation, now) if open_one is None else _again(open_one, wanted, now)
    others = [each for each in address.verifications if each.id != found.id]
    return replace(
        address,
        revision=address.revision + 1,
        generation=generation,
        sent=(*sent, now) if allowed.count else (),
        verifications=(*_kept(others, now), found),
    )


def _locked(each: Verification, now: int) -> bool:
    return each.checks >= MOST_CHECKS and each.started_at > now - DAY_MS


def _goes_on(each: Verification, wanted: Wanted, now: int) -> bool:
    """Whether a verification is the one that is asked for again, so that the same code is sent.

    Not for another `bind`: whoever starts one for somebody else's address does not come between them and their code.
    """
    alike = (each.purpose, each.bind, each.kind, each.length) == (
        wanted.purpose,
        wanted.bind,
        wanted.kind,
        wanted.length,
    )
    # At the end of its longest time a code would be sent that is nearly over.
    return alike and status_of(each, now) is None and now < each.started_at + (MOST_MINUTES - 1) * MINUTE_MS


def _new(wanted: Wanted, generation: int, now: int) -> Verification:
    return Verification(
        id=wanted.id,
        purpose=wanted.purpose,
        template=wanted.template,
        version=wanted.version,
        channel=wanted.channel,
        kind=wanted.kind,
        generation=generation,
        length=wanted.length,
        minutes=wanted.minutes,
        started_at=now,
        valid_until=now + wanted.minutes * MINUTE_MS,
        messages=(wanted.message_id,),
        bind=wanted.bind,
        prefix=wanted.prefix,
        texts=int(wanted.prefix is not None),
        country=wanted.country,
    )


def _again(found: Verification, wanted: Wanted, now: int) -> Verification:
    latest = found.started_at + MOST_MINUTES * MINUTE_MS
    return replace(
        found,
        template=wanted.template,
        version=wanted.version,
        minutes=wanted.minutes,
        valid_until=min(max(found.valid_until, now + wanted.minutes * MINUTE_MS), latest),
        messages=(*found.messages, wanted.message_id),
        prefix=wanted.prefix or found.prefix,
        texts=found.texts + (wanted.prefix is not None),
        country=wanted.country or found.country,
    )


def _kept(others: Sequence[Verification], now: int) -> list[Verification]:
    """What is kept beside a new one: what was locked within a day as long as anything, then the newest."""
    recent = [each for each in others if each.started_at > now - DAY_MS]
    spare = len(recent) - (KEPT - 1)
    if spare <= 0:
        return recent
    by_worth = sorted(recent, key=lambda each: (_locked(each, now), each.started_at))
    dropped = {each.id for each in by_worth[:spare]}
    return [each for each in recent if each.id not in dropped]
