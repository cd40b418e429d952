"""What events and statuses mean, in plain words."""

from collections.abc import Iterator, Mapping

from functions.trace.phrases import EN, Phrases
from shared.model.clock import iso
from shared.model.events import Awaits, Facts
from shared.model.reasons import Reason
from shared.model.words import Channel, MessageClass, Stage
from shared.policy.retry import SCHEDULES
from shared.store.kept_events import KeptEvent

_OWN_ACTION = frozenset({Stage.RETRYING, Stage.DEFERRED, Stage.UNKNOWN, Stage.DISCARDED})
"""Stages after which what to do does not follow from the reason."""


NO_RECEIPT_AFTER_MS: Mapping[Channel, int] = {
    # SES tries for 14 hours where nothing else is set, others for days.
    Channel.EMAIL: 24 * 3_600_000,
    # AWS calls it unknown after 72 hours (AWS End User Messaging SMS user guide, "Event types").
    Channel.SMS: 72 * 3_600_000,
}
"""For how long a receipt may well come yet, where one comes at all."""


def no_receipt(event: KeptEvent, now: int, say: Phrases = EN) -> tuple[str, str] | None:
    """(what it means, what to do), if a message was sent and nothing was reported of it for too long to go on waiting.

    event: that decides its status. now: in milliseconds since the epoch.
    """
    if event.stage != Stage.SENT or event.channel not in NO_RECEIPT_AFTER_MS or _is_last_word(event.provider):
        return None
    after = NO_RECEIPT_AFTER_MS[Channel(event.channel)]
    if now - event.at < after:
        return None
    meaning, action = say.no_receipt
    return meaning.format(hours=after // 3_600_000), action


def explain(event: Facts, say: Phrases = EN) -> tuple[str, str]:
    """(what it means, what to do) for an event's stage and its reason, if it has one."""
    stage, reason = Stage(event.stage), event.reason
    meaning, action = say.returned_for_now if event.transient else say.stages[stage]
    if stage is Stage.RETRYING and (event.ask_account or event.maybe_sent):
        meaning, action = say.asked if event.ask_account else say.maybe_twice
    if stage is Stage.SENT and _is_last_word(event.provider):
        action = say.no_receipts
    if stage is Stage.DEFERRED and reason == Reason.RUN_PAUSED:
        return say.held
    if reason is None or reason not in Reason.__members__.values():
        return meaning, action
    if event.fell_back_to is not None:
        # Whatever it is that would have to be mended, the message is seen to.
        follows = say.by_other.format(channel=event.fell_back_to.channel)
        return say.between.join((meaning, say.given_up(reason)[0])), follows
    parts = [meaning]
    if stage is Stage.DEAD_LETTERED and event.maybe_sent:
        parts.append(say.maybe_sent)
    cause, cure = say.given_up(reason) if stage is Stage.DEAD_LETTERED else say.reasons[Reason(reason)]
    return say.between.join((*parts, cause)), action if stage in _OWN_ACTION else cure


def _is_last_word(provider: str | None) -> bool:
    """Whether nothing is ever said of a message that a provider took."""
    # What vendors declare takes as long to import as an eighth of all else here, and few ask for it.
    from shared.providers.table import PROVIDERS

    spec = PROVIDERS.get(provider or "")
    return spec is not None and spec.sent_is_final


def describe(event: Facts, ulid: str = "", say: Phrases = EN) -> str:
    """One event in a few sentences. ulid: of its message, by which it names those that are linked by fallback."""
    return say.between.join((explain(event, say)[0], *_details(event, ulid, say)))


def _details(event: Facts, ulid: str, say: Phrases) -> Iterator[str]:
    """What is to be said of an event beside what it means."""
    if event.stands_in_for is not None:
        yield say.stands_in.format(id=ulid + event.stands_in_for)
    yield from _stopped(event, say)
    yield from (_passed_over(say, *each) for each in event.passed_over)
    yield from _through(event, say)
    if event.code is not None:
        # Without a provider it was found before any was asked.
        yield (say.found if event.provider is None else say.said).format(code=event.code)
    if event.note is not None:
        said = say.notes.get(event.stage) or say.notes.get(event.reason or "") or say.notes[""]
        yield said.format(note=event.note, by=say.by.format(who=event.by) if event.by else "")
    if event.machine:
        yield say.machine.format(sign=say.signs.get(event.sign or "", ""))
    yield from _when(event, say)
    if event.fell_back_to is not None:
        to = event.fell_back_to
        yield say.falls_back.format(id=ulid + to.tag, channel=to.channel, template=to.template)
    if event.stage == Stage.SENT and event.awaits is not None:
        yield _awaited(event.awaits, say)
    if event.stage == Stage.RETRYING and (event.account_down or event.avoid_account):
        yield say.other_account
    if event.arrived_at is not None:
        yield say.arrived.format(when=iso(event.arrived_at))


def _awaited(awaits: Awaits, say: Phrases) -> str:
    """What is sent if a message does not come as far as it must."""
    to, due_at = awaits.to, awaits.due_at
    if due_at is None:
        return say.awaited.format(channel=to.channel, template=to.template)
    facts = {"channel": to.channel, "template": to.template, "until": awaits.until, "when": iso(due_at)}
    return say.awaited_until.format(**facts)


def _stopped(event: Facts, say: Phrases) -> Iterator[str]:
    """By which figures a policy stopped a message."""
    if event.listed_at is not None:
        phrase = say.listed if event.because_of is None else say.listed_for
        yield phrase.format(when=iso(event.listed_at), id=event.because_of)
    elif event.because_of is not None:
        yield say.duplicate_of.format(id=event.because_of)
    if event.limit is not None:
        count, minutes = event.limit
        yield (say.cap_minutes if minutes else say.cap_day).format(count=count, minutes=minutes)
    if event.clear_at is not None:
        yield say.clear.format(when=iso(event.clear_at))


def _through(event: Facts, say: Phrases) -> Iterator[str]:
    """By which account a message went, and why by that one."""
    if event.provider is not None:
        yield say.through.format(account=event.account, provider=event.provider, took=_took(event, say))
    if event.share is not None and event.stage != Stage.VERIFIED:
        now, configured = event.share
        yield say.share.format(now=now)
        if now != configured:
            yield say.health.format(configured=configured)


def _took(event: Facts, say: Phrases) -> str:
    """How long a provider took, to answer or to deliver."""
    if event.took_ms is None:
        return ""
    if event.stage == Stage.DELIVERED:
        return say.delivered_after.format(s=event.took_ms / 1000)
    return say.answered.format(ms=event.took_ms)


def _when(event: Facts, say: Phrases) -> Iterator[str]:
    """When a message is due again, what it waits for, and why so long."""
    if event.due_at is None:
        return
    place = say.places.get(event.reason or "") if event.stage == Stage.DEFERRED else None
    if place is not None:
        when = event.due_at if event.place_at is None else event.place_at
        yield place.format(account=event.account, when=iso(when))
        return
    yield (say.due if event.stage == Stage.ACCEPTED else say.due_again).format(when=iso(event.due_at))
    if event.stage == Stage.RETRYING and not event.ask_account:
        wait = f"{(event.due_at - event.at) / 1000:.1f} s"
        yield (say.wait_random if event.asked_s is None else say.wait_asked).format(wait=wait, asked=event.asked_s)


def try_of(nth: int, message_class: str, say: Phrases = EN) -> str:
    """Which try it was of how many. nth: from 1."""
    return say.try_of.format(n=nth, all=SCHEDULES[MessageClass(message_class)].tries)


def _passed_over(say: Phrases, account: str, reason: str, code: str) -> str:
    if reason == Reason.AVOIDED:
        return say.avoided.format(account=account)
    return (say.passed_over_said if code else say.passed_over).format(account=account, reason=reason, code=code)
