"""From a provider's outcome to what becomes of the recipient: one event row each. Pure."""

from math import ceil

from msgspec import Struct

from shared.model.envelope import Envelope, EnvelopeRecipient
from shared.model.events import EventRow
from shared.model.outcome import AccountDown, Outcome, Rejected, Retry, Sent, Unknown
from shared.model.reasons import ACCOUNTS_OWN, Reason
from shared.model.sizes import clipped
from shared.model.words import Channel, MessageClass, Stage
from shared.policy.retry import CHECKS_S, due_ms, wait_s

RESENDS = frozenset({MessageClass.VERIFICATION, MessageClass.NOTIFICATION})
"""Classes whose message is sent again when it is unknown whether it was sent: a second code beats none."""
UNSENT = frozenset({Stage.FAILED, Stage.EXPIRED, Stage.SUPPRESSED, Stage.DUPLICATE, Stage.CAPPED, Stage.RECALLED})
"""Outcomes that say that nothing was sent."""
MINUTE_MS = 60_000
CODE_BYTES = 200
"""Of a provider's raw code: whatever it answers, the rows of an envelope fit where they have to be kept."""
GENERATION = 100
"""Retries of a later generation are numbered from here on, so that no event takes another's name."""


class Via(Struct, frozen=True):
    """How a message went."""

    account: str
    provider: str
    ms: int = 0
    """How long the provider took."""
    looks_up: bool = False
    """Whether the account can be asked later what became of a message."""
    indexed: bool = False
    """Whether receipts name a message by the provider's id alone."""


def row(
    envelope: Envelope,
    recipient: EnvelopeRecipient,
    stage: Stage,
    now: int,
    via: Via | None = None,
    reason: Reason | None = None,
) -> EventRow:
    """An event of a recipient at this envelope's try and generation.

    Of whom an earlier try may have come through, nobody can say that the message failed, expired or was stopped unsent.
    """
    if stage in UNSENT and recipient.index in envelope.maybe_sent:
        stage = Stage.UNKNOWN
    nth = envelope.generation
    if stage is Stage.RETRYING:
        nth = GENERATION * nth + envelope.attempt + 1
    elif stage is Stage.DEFERRED:
        nth = GENERATION * nth + envelope.times_put_off + 1
    result = EventRow(index=recipient.index, tag=recipient.tag, stage=stage.value, nth=nth, at=now, reason=reason)
    if via is not None:
        result.account, result.provider, result.took_ms = via.account, via.provider, via.ms
    return result


def failed(envelope: Envelope, recipient: EnvelopeRecipient, reason: Reason, found: str, now: int) -> EventRow:
    """A recipient that is given up before any provider is asked. found: where and what, without any value.

    Of whom an account was to be asked, nobody can say that the message failed.
    """
    stage = Stage.UNKNOWN if recipient.index in envelope.ask_account else Stage.FAILED
    result = row(envelope, recipient, stage, now, reason=reason)
    result.code = clipped(found, CODE_BYTES)
    return result


def put_off(
    envelope: Envelope, recipient: EnvelopeRecipient, reason: Reason, until: int, now: int, account: str | None = None
) -> EventRow:
    """A recipient that waits until a time without having been tried, or whose time to live ends before.

    account: in whose rate it has a place from then on.
    """
    # Quiet hours are quiet on the channel too to which it would fall back.
    end = envelope.ends_at if reason is Reason.QUIET_HOURS else envelope.expires_at
    if end is not None and until >= end:
        return row(envelope, recipient, Stage.EXPIRED, now, reason=reason)
    result = row(envelope, recipient, Stage.DEFERRED, now, reason=reason)
    result.due_at, result.account = until, account
    return result


def judge(
    envelope: Envelope, recipient: EnvelopeRecipient, outcome: Outcome, now: int, chance: float, via: Via | None
) -> EventRow:
    """What becomes of a recipient after a try. chance: a random number in [0, 1), one per envelope and try."""
    if isinstance(outcome, Sent):
        sent = row(envelope, recipient, Stage.SENT, now, via)
        sent.provider_id = outcome.provider_message_id
        sent.indexed = via is not None and via.indexed and bool(sent.provider_id)
        if envelope.proof is not None:
            sent.code_until = now + envelope.proof.minutes * MINUTE_MS
            sent.country = envelope.proof.country if envelope.channel is Channel.SMS else None
        return sent
    if isinstance(outcome, Rejected):
        result = row(envelope, recipient, Stage.FAILED, now, via)
    elif isinstance(outcome, Unknown):
        result = _unknown(envelope, recipient, now, chance, via)
    else:
        result = _again(envelope, recipient, outcome, now, chance, via)
        if isinstance(outcome, AccountDown):
            result.account_down = True
        elif outcome.reason in ACCOUNTS_OWN and result.stage == Stage.RETRYING:
            # The next try goes by another account where there is one.
            result.avoid_account = True
    return _because(result, outcome)


def judge_look_up(
    envelope: Envelope, recipient: EnvelopeRecipient, outcome: Outcome, now: int, chance: float, via: Via
) -> EventRow:
    """What becomes of a recipient after its account was asked about an earlier try.

    Sent, Rejected: so it was. Retry: it certainly was not sent. Otherwise nothing is known yet.
    """
    if isinstance(outcome, Sent | Rejected | Retry):
        return judge(envelope, recipient, outcome, now, chance, via)
    if envelope.message_class in RESENDS:
        # Whatever more can be known comes too late for these.
        result = _again(envelope, recipient, None, now, 0, via)
        return _because(_late(result), outcome)
    checks = CHECKS_S[envelope.message_class]
    if envelope.times_asked + 1 >= len(checks):
        return _because(row(envelope, recipient, Stage.UNKNOWN, now, via), outcome)
    return _because(_check(envelope, recipient, checks[envelope.times_asked + 1], now, via), outcome)


def _unknown(envelope: Envelope, recipient: EnvelopeRecipient, now: int, chance: float, via: Via | None) -> EventRow:
    if via is not None and via.looks_up:
        return _check(envelope, recipient, CHECKS_S[envelope.message_class][0], now, via)
    if envelope.message_class not in RESENDS:
        return row(envelope, recipient, Stage.UNKNOWN, now, via)
    return _late(_again(envelope, recipient, None, now, chance, via))


def _late(result: EventRow) -> EventRow:
    """There may be no time for another try, and of the last one it is not known that nothing came of it."""
    if result.stage == Stage.EXPIRED:
        result.stage = Stage.UNKNOWN.value
    return result


def _check(envelope: Envelope, recipient: EnvelopeRecipient, wait: float, now: int, via: Via) -> EventRow:
    """Ask the account in a while; there is no end to wait for, since asking sends nothing."""
    result = _at(envelope, recipient, due_ms(now, wait), now, via)
    result.ask_account = True
    return result


def _again(
    envelope: Envelope,
    recipient: EnvelopeRecipient,
    outcome: Retry | AccountDown | None,
    now: int,
    chance: float,
    via: Via | None,
) -> EventRow:
    after = outcome.after if isinstance(outcome, Retry) else None
    wait = wait_s(envelope.message_class, envelope.attempt + 1, chance, after)
    if wait is None:
        dead = row(envelope, recipient, Stage.DEAD_LETTERED, now, via)
        if outcome is None or recipient.index in envelope.maybe_sent:
            # Who decides on it should know.
            dead.maybe_sent = True
        return dead
    until = due_ms(now, wait)
    if envelope.expires_at is not None and until >= envelope.expires_at:
        return row(envelope, recipient, Stage.EXPIRED, now, via)
    result = _at(envelope, recipient, until, now, via)
    if outcome is None:
        result.maybe_sent = True
    if after:
        result.asked_s = ceil(after)
    return result


def _at(envelope: Envelope, recipient: EnvelopeRecipient, until: int, now: int, via: Via | None) -> EventRow:
    result = row(envelope, recipient, Stage.RETRYING, now, via)
    result.due_at = until
    return result


def _because(result: EventRow, outcome: Rejected | Retry | Unknown | AccountDown) -> EventRow:
    result.reason = outcome.reason
    if outcome.raw_code:
        result.code = clipped(outcome.raw_code, CODE_BYTES)
    return result
