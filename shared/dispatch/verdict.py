"""From a provider's outcome to what becomes of the recipient: one event row each. Pure."""

from dataclasses import dataclass

from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import Reason
from shared.model.words import MessageClass, Stage
from shared.policy.retry import wait_s

RESENDS = frozenset({MessageClass.VERIFICATION, MessageClass.NOTIFICATION})
"""Classes whose message is sent again when it is unknown whether it was sent: a second code beats none."""


@dataclass(frozen=True, slots=True)
class Via:
    """How a message went: account, provider, and the milliseconds that the provider took."""

    account: str
    provider: str
    ms: int


def row(envelope: Envelope, recipient: EnvelopeRecipient, stage: Stage, now: int, via: Via | None = None) -> EventRow:
    """An event of a recipient at this envelope's try and generation."""
    n = envelope.attempt + 1 if stage is Stage.RETRYING else envelope.generation
    result: EventRow = {"i": recipient["i"], "tag": recipient["tag"], "s": stage.value, "n": n, "at": now}
    if via is not None:
        result["acc"], result["prov"], result["ms"] = via.account, via.provider, via.ms
    return result


def judge(
    envelope: Envelope, recipient: EnvelopeRecipient, outcome: Outcome, now: int, chance: float, via: Via | None
) -> EventRow:
    """What becomes of a recipient after a try. chance: a random number in [0, 1), one per envelope and try."""
    if isinstance(outcome, Sent):
        sent = row(envelope, recipient, Stage.SENT, now, via)
        sent["pid"] = outcome.provider_message_id
        return sent
    if isinstance(outcome, Rejected):
        result = row(envelope, recipient, Stage.FAILED, now, via)
    elif isinstance(outcome, Unknown) and envelope.message_class not in RESENDS:
        result = row(envelope, recipient, Stage.UNKNOWN, now, via)
    else:
        result = _again(envelope, recipient, outcome, now, chance, via)
    result.setdefault("why", outcome.reason)
    if outcome.raw_code:
        result["code"] = outcome.raw_code[:200]
    return result


def _again(
    envelope: Envelope,
    recipient: EnvelopeRecipient,
    outcome: Retry | Unknown | AccountDown,
    now: int,
    chance: float,
    via: Via | None,
) -> EventRow:
    after = outcome.after if isinstance(outcome, Retry) else None
    wait = wait_s(envelope.message_class, envelope.attempt + 1, chance, after)
    if wait is None:
        return row(envelope, recipient, Stage.DEAD_LETTERED, now, via)
    until = now + int(wait * 1000)
    if envelope.expires_at is not None and until >= envelope.expires_at:
        return row(envelope, recipient, Stage.EXPIRED, now, via)
    result = row(envelope, recipient, Stage.RETRYING, now, via)
    result["until"] = until
    return result


def failed(envelope: Envelope, recipient: EnvelopeRecipient, reason: Reason, code: str, now: int) -> EventRow:
    """A recipient that is given up before any provider is asked."""
    result = row(envelope, recipient, Stage.FAILED, now)
    result["why"], result["code"] = reason, code[:200]
    return result
