"""What events and statuses mean, in plain words."""

from collections.abc import Mapping

from shared.model.clock import iso
from shared.model.events import Facts
from shared.model.given_up import explain_given_up
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.words import Channel, Stage
from shared.store.timeline import KeptEvent

_STAGES: dict[Stage, tuple[str, str]] = {
    Stage.REJECTED: ("The recipient was not accepted.", "Correct the recipient and send again."),
    Stage.ACCEPTED: ("Accepted and queued.", "Nothing: it is on its way."),
    Stage.DEFERRED: ("Waiting for its time.", "Nothing: it is sent when it is due."),
    Stage.RETRYING: ("A try failed; it is tried again.", "Nothing: the platform tries again by itself."),
    Stage.SENT: ("The provider took the message.", "Nothing; a delivery receipt may follow."),
    Stage.FAILED: ("The message cannot be sent.", "Look at the reason."),
    Stage.SUPPRESSED: ("The recipient is on the suppression list.", "Remove it from the list if that is wrong."),
    Stage.DUPLICATE: ("Not sent again.", "Nothing."),
    Stage.CAPPED: ("Not sent: there is a cap for each recipient.", "Nothing, or raise the cap."),
    Stage.EXPIRED: ("Its time to live ended before it could be sent.", "Send it anew if it still matters."),
    Stage.RECALLED: ("It was recalled before it was sent.", "Nothing."),
    Stage.UNKNOWN: (
        "It is not known whether the provider took the message.",
        "Ask the recipient or the provider before sending again.",
    ),
    Stage.DEAD_LETTERED: (
        "All tries failed; it is kept among the dead letters.",
        "Mend the cause that the reason names, then redrive it.",
    ),
    Stage.REDRIVEN: ("Taken out of the dead letters to be sent again.", "Nothing: it is on its way."),
    Stage.DISCARDED: (
        "Discarded from the dead letters; it will not be sent.",
        "Nothing; send it anew if that was wrong.",
    ),
    Stage.DELAYED: (
        "Sent; the provider is still trying to deliver it.",
        "Nothing: the provider tries again by itself.",
    ),
    Stage.DELIVERED: ("Delivered, as the provider reports.", "Nothing."),
    Stage.UNDELIVERED: ("Sent, but not delivered, as the provider reports.", "Look at the reason."),
    Stage.OPENED: ("Opened by the recipient.", "Nothing."),
    Stage.CLICKED: ("A link was followed by the recipient.", "Nothing."),
    Stage.ACKNOWLEDGED: ("The recipient said that they have it.", "Nothing."),
    Stage.VERIFIED: ("The recipient gave its code back, or confirmed by its link.", "Nothing."),
    Stage.COMPLAINED: ("The recipient complained of it as spam.", "Do not send to this recipient again."),
    Stage.UNSUBSCRIBED: ("The recipient unsubscribed.", "Do not send marketing to this recipient again."),
    Stage.WITHDRAWN: (
        "Sent, and taken back by the provider at our request; the recipient may have read it before.",
        "Nothing; send it anew if that was a mistake.",
    ),
}

_ASKED = (
    "It is not known whether the provider took the message; it is asked before anything else is done.",
    "Nothing: the platform asks by itself.",
)
_MAYBE_TWICE = (
    "It is not known whether the provider took the message; one of this class is sent again all the same.",
    "Nothing: the platform tries again by itself; the recipient may get it twice.",
)

_NO_RECEIPTS = "Nothing: this provider does not tell whether a message arrives."

_HELD = "Held while its campaign's run is paused; it goes on, or ends, with the run."
_RESUME = "Nothing if that is meant; else resume the run."
_NOTES: dict[str, str] = {
    Stage.DISCARDED: "Why it was discarded",
    Stage.DELIVERED: "How far that is known",
    Stage.CLICKED: "What was pressed",
    Stage.ACKNOWLEDGED: "How",
    Reason.RUN_PAUSED: "Paused by",
    Reason.RUN_CANCELLED: "Ended by",
}
"""What a note is, by stage or reason."""

_PLACES: dict[str, str] = {
    Reason.RATE_LIMITED: "It waits for its place in the rate of account {} until {}.",
    Reason.RECIPIENT_LIMIT: "It waits for account {}, which may send to this recipient again at {}.",
}
"""What a message waits for, by reason; with the account and the time."""

_OWN_ACTION = frozenset({Stage.RETRYING, Stage.DEFERRED, Stage.UNKNOWN, Stage.DISCARDED})
"""Stages after which what to do does not follow from the reason."""


NO_RECEIPT_AFTER_MS: Mapping[Channel, int] = {
    # SES tries for 14 hours where nothing else is set, others for days.
    Channel.EMAIL: 24 * 3_600_000,
    # AWS calls it unknown after 72 hours (AWS End User Messaging SMS user guide, "Event types").
    Channel.SMS: 72 * 3_600_000,
}
"""For how long a receipt may well come yet, where one comes at all."""


def no_receipt(event: KeptEvent, now: int) -> tuple[str, str] | None:
    """(what it means, what to do), if a message was sent and nothing was reported of it for too long to go on waiting.

    event: that decides its status. now: in milliseconds since the epoch.
    """
    if event.stage != Stage.SENT or event.channel not in NO_RECEIPT_AFTER_MS or _is_last_word(event.provider):
        return None
    after = NO_RECEIPT_AFTER_MS[Channel(event.channel)]
    if now - event.at < after:
        return None
    return (
        f"The provider took the message. Nothing was reported of it within {after // 3_600_000} hours, which does not "
        "say whether it arrived.",
        "Nothing; if no message of the account has a receipt, see docs/receipts.md for what has to be switched on.",
    )


def explain(event: Facts) -> tuple[str, str]:
    """(what it means, what to do) for an event's stage and its reason, if it has one."""
    stage, reason = Stage(event.stage), event.reason
    meaning, action = _STAGES[stage]
    if stage is Stage.RETRYING and (event.ask_account or event.maybe_sent):
        meaning, action = _ASKED if event.ask_account else _MAYBE_TWICE
    if stage is Stage.SENT and _is_last_word(event.provider):
        action = _NO_RECEIPTS
    if stage is Stage.DEFERRED and reason == Reason.RUN_PAUSED:
        return _HELD, _RESUME
    if reason is None or reason not in Reason.__members__.values():
        return meaning, action
    if event.fell_back_to is not None:
        # Whatever it is that would have to be mended, the message is seen to.
        other = event.fell_back_to.channel
        return f"{meaning} {explain_given_up(reason)[0]}", f"Nothing: a message by {other} follows."
    if stage is Stage.DEAD_LETTERED and event.maybe_sent:
        meaning += " One of its tries may have come through all the same."
    cause, cure = explain_given_up(reason) if stage is Stage.DEAD_LETTERED else EXPLANATIONS[Reason(reason)]
    return f"{meaning} {cause}", action if stage in _OWN_ACTION else cure


def _is_last_word(provider: str | None) -> bool:
    """Whether nothing is ever said of a message that a provider took."""
    # What vendors declare takes as long to import as an eighth of all else here, and few ask for it.
    from shared.providers.table import PROVIDERS

    spec = PROVIDERS.get(provider or "")
    return spec is not None and spec.sent_is_final


def describe(event: Facts, ulid: str = "") -> str:
    """One event in a sentence or two. ulid: of its message, by which it names those that are linked by fallback."""
    text = explain(event)[0]
    if event.stands_in_for is not None:
        text += f" It takes the place of message {ulid}{event.stands_in_for}, which was not sent."
    text += "".join(_passed_over(*each) for each in event.passed_over)
    if event.provider is not None:
        text += f" Through account {event.account} ({event.provider})"
        text += f"{_took(event)}."
    if event.code is not None:
        # Without a provider it was found before any was asked.
        said = "What was found" if event.provider is None else "The provider said"
        text += f" {said}: {event.code}."
    if event.note is not None:
        said = _NOTES.get(event.stage) or _NOTES.get(event.reason or "", "Recalled with the key")
        text += f" {said}: {event.note}."
    text += _when(event)
    if event.fell_back_to is not None:
        to = event.fell_back_to
        text += f" It falls back to message {ulid}{to.tag} by {to.channel} (template {to.template})."
    if event.stage == Stage.RETRYING and (event.account_down or event.avoid_account):
        text += " It is then sent through another account, if the template has one."
    return text


def _took(event: Facts) -> str:
    """How long a provider took, to answer or to deliver."""
    if event.took_ms is None:
        return ""
    if event.stage == Stage.DELIVERED:
        return f", {event.took_ms / 1000:.1f} s after it was sent"
    return f", answered in {event.took_ms} ms"


def _when(event: Facts) -> str:
    """When a message is due again, and what it waits for."""
    if event.due_at is None:
        return ""
    if event.stage == Stage.DEFERRED and event.reason in _PLACES:
        when = event.due_at if event.place_at is None else event.place_at
        return f" {_PLACES[event.reason].format(event.account, iso(when))}"
    return f" Due {'' if event.stage == Stage.ACCEPTED else 'again '}at {iso(event.due_at)}."


def _passed_over(account: str, reason: str, code: str) -> str:
    if reason == Reason.AVOIDED:
        return f" Account {account} had been down a moment before and was not asked."
    said = f"{reason}; the provider said: {code}" if code else reason
    return f" Account {account} could not send it ({said}), so another one was asked."
