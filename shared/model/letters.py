"""Dead letters: given-up recipients of one envelope that share a reason and an account, kept until a person decides."""

import re
from collections import Counter, defaultdict
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from msgspec.structs import replace
from pydantic import ConfigDict
from pydantic_core import from_json

from shared.model.base import Model
from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.ids import derived_base, root_of, ulid_time
from shared.model.reasons import Reason
from shared.model.tenants import DEFAULT_TENANT
from shared.model.words import Channel, KeyKind, MessageClass

MAX_TTL_MS = 3 * 86_400_000
"""The longest time to live that a request may ask for."""
_WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
MAX_ID_LENGTH = 300
"""Ids grow with every redrive, and a sort key holds 1,024 bytes (DynamoDB developer guide, "Constraints")."""


class LetterState(StrEnum):
    """Where a dead letter stands; the two words on -ing are of what was begun and must be carried on."""

    KEPT = "kept"
    REDRIVING = "redriving"
    REDRIVEN = "redriven"
    DISCARDING = "discarding"
    DISCARDED = "discarded"


class Letter(Model):
    """A dead letter without its addresses and variables."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    tenant: str
    channel: Channel
    message_class: MessageClass
    template: str
    version: int
    request: str
    kind: KeyKind
    account: str
    """Empty where none was asked."""
    reason: str
    code: str
    """The provider's most frequent one."""
    recipients: int
    """How many."""
    generation: int
    """How often they were redriven before."""
    dead_at: int
    """`dead_at` and `changed_at`: milliseconds since the epoch; the latter is when the state was last decided on."""
    state: LetterState = LetterState.KEPT
    changed_at: int
    by: str = ""
    """The id of the key that decided."""
    note: str = ""
    """Why it was discarded."""
    parts: int = 1
    """Of how many items its body is."""

    @property
    def accepted_at(self) -> int:
        """When the first of its recipients was accepted, in milliseconds since the epoch."""
        return ulid_time(self.id)


def letters_of(dead: Envelope, now: int) -> list[tuple[Letter, Envelope]]:
    """The letters that an envelope of given-up recipients makes, each with its own recipients; always the same ones.

    The first has the envelope's id, the others have a number behind it.
    """
    groups: dict[tuple[str, str], list[EnvelopeRecipient]] = defaultdict(list)
    for recipient in dead.recipients:
        reason, _, account = dead.reasons.get(recipient.index, ("", "", ""))
        groups[reason, account].append(recipient)
    found = []
    for k, ((reason, account), recipients) in enumerate(sorted(groups.items(), key=lambda group: group[0])):
        reasons = {r.index: dead.reasons[r.index] for r in recipients if r.index in dead.reasons}
        id = f"{dead.id}.{k}" if k else dead.id
        body = replace(dead, id=id, recipients=recipients, reasons=reasons)
        codes = Counter(code for _, code, _ in reasons.values())
        letter = Letter(
            id=id,
            tenant=dead.tenant,
            channel=dead.channel,
            message_class=dead.message_class,
            template=dead.template,
            version=dead.version,
            request=dead.request,
            kind=dead.kind,
            account=account,
            reason=reason,
            code=codes.most_common(1)[0][0] if codes else "",
            recipients=len(recipients),
            generation=dead.generation,
            dead_at=now,
            changed_at=now,
        )
        found.append((letter, body))
    return found


def unreadable(text: str, queue: str, message_id: str, sent_at: int, now: int) -> Letter:
    """The letter of a queue's message that could not be read or worked on: as it is, with what is told of it.

    queue: such as `email.marketing`. message_id: SQS's. sent_at: when it was sent, in milliseconds since the epoch.
    """
    channel, _, message_class = queue.partition(".")
    told = _told(text)
    base = derived_base(sent_at, queue, message_id)
    recipients = told.get("recipients")
    return Letter(
        id=f"{base}/d0",
        tenant=_word(told.get("tenant"), DEFAULT_TENANT),
        channel=Channel(channel),
        message_class=MessageClass(message_class),
        template=_word(told.get("template"), ""),
        version=0,
        request=base,
        kind=KeyKind.LIVE,
        account="",
        reason=Reason.UNREADABLE,
        code="",
        recipients=len(recipients) if isinstance(recipients, list) else 0,
        generation=0,
        dead_at=now,
        changed_at=now,
    )


def _told(text: str) -> dict[str, Any]:
    try:
        found = from_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _word(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else otherwise


def redriven(letter: Letter, body: Envelope) -> Envelope:
    """The envelope by which a letter under redrive is sent anew: fresh tries and a fresh time to live.

    It follows from the letter and its body alone, so sending it again changes nothing.
    """
    at, ttl = letter.changed_at, None
    if body.expires_at is not None:
        # A message may have been accepted long before it was due.
        ttl = min(body.expires_at - body.accepted_at, MAX_TTL_MS)
    return body.child(
        f"g{letter.generation + 1}",
        body.recipients,
        id=redriven_id(letter.id, letter.generation),
        accepted_at=at,
        expires_at=None if ttl is None else at + ttl,
        attempt=0,
        generation=letter.generation + 1,
        avoid=[],
        times_asked=0,
        times_put_off=0,
    )


def redriven_id(letter_id: str, generation: int) -> str:
    """The id of the envelope by which a dead letter of that generation is sent anew."""
    if len(letter_id) > MAX_ID_LENGTH:
        letter_id = f"{root_of(letter_id)}/{blake2b(letter_id.encode(), digest_size=16).hexdigest()}"
    return f"{letter_id}/g{generation + 1}"
