"""The sentences by which events and statuses are told, in English; `phrases_zh` has them in Chinese."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from shared.model.engagement import MachineSign
from shared.model.given_up import explain_given_up
from shared.model.reasons import EXPLANATIONS, Reason
from shared.model.words import Stage

Pair = tuple[str, str]
"""What it means, and what to do."""


class Phrases(Struct, frozen=True, kw_only=True):
    """All that is said in one language. Braces are filled in by name."""

    between: str
    """Sentences."""
    stages: Mapping[Stage, Pair]
    reasons: Mapping[Reason, Pair]
    given_up: Callable[[str], Pair]
    returned_for_now: Pair
    """Of a message that was not delivered although its address may be good."""
    asked: Pair
    """Of a try whose outcome is unknown: its account is asked."""
    maybe_twice: Pair
    """The same, and it is sent again all the same."""
    no_receipts: str
    no_receipt: Pair
    held: Pair
    by_other: str
    maybe_sent: str
    notes: Mapping[str, str]
    """What a note is, by stage or reason; the last one is of recalls."""
    places: Mapping[str, str]
    """What a message waits for, by reason."""
    stands_in: str
    avoided: str
    passed_over: str
    passed_over_said: str
    through: str
    answered: str
    delivered_after: str
    share: str
    health: str
    """Why an account has another part than people set."""
    said: str
    found: str
    due: str
    due_again: str
    wait_asked: str
    wait_random: str
    falls_back: str
    by: str
    """Who did what a note tells of."""
    awaited: str
    """What is sent if a message comes back."""
    awaited_until: str
    """The same, or if it has not come far enough in time."""
    other_account: str
    try_of: str
    duplicate_of: str
    listed: str
    listed_for: str
    cap_minutes: str
    cap_day: str
    clear: str
    arrived: str
    machine: str
    """That no person opened or clicked."""
    signs: Mapping[str, str]
    """By what the machine is known."""


EN = Phrases(
    between=" ",
    stages={
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
        Stage.FELL_BACK: ("It was sent, and another message takes its place.", "Nothing."),
        Stage.ACKNOWLEDGED: ("The recipient said that they have it.", "Nothing."),
        Stage.VERIFIED: ("The recipient gave its code back, or confirmed by its link.", "Nothing."),
        Stage.COMPLAINED: ("The recipient complained of it as spam.", "Do not send to this recipient again."),
        Stage.UNSUBSCRIBED: ("The recipient unsubscribed.", "Do not send marketing to this recipient again."),
        Stage.WITHDRAWN: (
            "Sent, and taken back by the provider at our request; the recipient may have read it before.",
            "Nothing; send it anew if that was a mistake.",
        ),
    },
    reasons=EXPLANATIONS,
    given_up=explain_given_up,
    returned_for_now=(
        "Sent, but not delivered, as the provider reports; the address may be good all the same.",
        "Look at the reason.",
    ),
    asked=(
        "It is not known whether the provider took the message; it is asked before anything else is done.",
        "Nothing: the platform asks by itself.",
    ),
    maybe_twice=(
        "It is not known whether the provider took the message; one of this class is sent again all the same.",
        "Nothing: the platform tries again by itself; the recipient may get it twice.",
    ),
    no_receipts="Nothing: this provider does not tell whether a message arrives.",
    no_receipt=(
        "The provider took the message. Nothing was reported of it within {hours} hours, which does not say whether it "
        "arrived.",
        "Nothing; if no message of the account has a receipt, see docs/receipts.md for what has to be switched on.",
    ),
    held=(
        "Held while its campaign's run is paused; it goes on, or ends, with the run.",
        "Nothing if that is meant; else resume the run.",
    ),
    by_other="Nothing: a message by {channel} follows.",
    maybe_sent="One of its tries may have come through all the same.",
    notes={
        Stage.DISCARDED: "Why it was discarded: {note}{by}.",
        Stage.DELIVERED: "How far that is known: {note}{by}.",
        Stage.CLICKED: "What was pressed: {note}{by}.",
        Stage.ACKNOWLEDGED: "How: {note}{by}.",
        Reason.RUN_PAUSED: "Paused by: {note}{by}.",
        Reason.RUN_CANCELLED: "Ended by: {note}{by}.",
        "": "Recalled with the key: {note}{by}.",
    },
    places={
        Reason.RATE_LIMITED: "It waits for its place in the rate of account {account} until {when}.",
        Reason.RECIPIENT_LIMIT: "It waits for account {account}, which may send to this recipient again at {when}.",
    },
    stands_in="It takes the place of message {id}.",
    avoided="Account {account} had been down a moment before and was not asked.",
    passed_over="Account {account} could not send it ({reason}), so another one was asked.",
    passed_over_said="Account {account} could not send it ({reason}; the provider said: {code}), so another one was "
    "asked.",
    through="Through account {account} ({provider}){took}.",
    answered=", answered in {ms} ms",
    delivered_after=", {s:.1f} s after it was sent",
    share="Of several accounts this one was chosen, which gets {now} % of the messages.",
    health="Its weight would give it {configured} %; how accounts do lately shifts that.",
    said="The provider said: {code}.",
    found="What was found: {code}.",
    due="Due at {when}.",
    due_again="Due again at {when}.",
    wait_asked="That is {wait} later: the provider asked for {asked} s.",
    wait_random="That is {wait} later: a random wait, whose limit doubles with each try.",
    falls_back="It falls back to message {id} by {channel} (template {template}).",
    by=", by {who}",
    awaited="It falls back to {channel} (template {template}) if it comes back.",
    awaited_until="It falls back to {channel} (template {template}) if it is not {until} by {when}, or if it comes "
    "back.",
    other_account="It is then sent through another account, if the template has one.",
    try_of="Try {n} of {all}.",
    duplicate_of="Message {id} had the same content.",
    listed="On the list since {when}.",
    listed_for="On the list since {when}, for what was reported of message {id}.",
    cap_minutes="The cap is {count} in {minutes} minutes.",
    cap_day="The cap is {count} on a calendar day.",
    clear="The next one may go after {when}.",
    arrived="Told to us at {when}.",
    machine="By a machine{sign}; it does not count as a person's.",
    signs={
        MachineSign.SCANNER: ", by its name: a scanner or a program",
        MachineSign.PREFETCH: ", by its name: a mail program that fetches pictures ahead",
        MachineSign.NO_NAME: ", since it gave no name",
        MachineSign.TOO_SOON: ", since nobody reads a message so soon",
        MachineSign.BURST: ", since more links of the message were followed at that moment than a person follows",
        MachineSign.PROVIDER: ", as the provider says",
    },
)
