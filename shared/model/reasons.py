"""Why a message ended as it did: one closed vocabulary, each word with an explanation and what to do.

Providers map their raw codes to these; the raw code is kept beside the reason in the timeline.
"""

from enum import StrEnum


class Reason(StrEnum):
    """A machine-readable cause."""

    # of the recipient
    ADDRESS_INVALID = "address_invalid"
    ADDRESS_UNKNOWN = "address_unknown"
    NOT_IN_TEAM_LIST = "not_in_team_list"
    RECIPIENT_OPTED_OUT = "recipient_opted_out"
    RECIPIENT_BLOCKED = "recipient_blocked"
    RECIPIENT_LIMIT = "recipient_limit"
    REGION_NOT_ENABLED = "region_not_enabled"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NUMBER_TAKES_NO_TEXTS = "number_takes_no_texts"
    MAILBOX_FULL = "mailbox_full"
    RECIPIENT_BUSY = "recipient_busy"
    RECIPIENT_NOT_VERIFIED = "recipient_not_verified"
    RECIPIENT_UNREACHABLE = "recipient_unreachable"
    NUMBER_SUSPENDED = "number_suspended"
    # of the suppression list
    SUPPRESSED_BOUNCE = "suppressed_bounce"
    SUPPRESSED_COMPLAINT = "suppressed_complaint"
    SUPPRESSED_UNSUBSCRIBE = "suppressed_unsubscribe"
    SUPPRESSED_MANUAL = "suppressed_manual"
    SUPPRESSED_PROVIDER = "suppressed_provider"
    # of the caller
    RECALLED = "recalled"
    RECALL_REFUSED = "recall_refused"
    KEY_LIMIT = "key_limit"
    ERASED = "erased"
    # of the sending policies
    QUIET_HOURS = "quiet_hours"
    DUPLICATE = "duplicate"
    CAPPED = "capped"
    RATE_LIMITED = "rate_limited"
    # of the campaign
    RUN_PAUSED = "run_paused"
    RUN_CANCELLED = "run_cancelled"
    # of the content
    CONTENT_REFUSED = "content_refused"
    CONTENT_TOO_LONG = "content_too_long"
    CONTENT_INVALID = "content_invalid"
    CONTENT_BLOCKED = "content_blocked"
    TEMPLATE_REFUSED = "template_refused"
    SENDER_REFUSED = "sender_refused"
    RENDERING_FAILED = "rendering_failed"
    ATTACHMENT_GONE = "attachment_gone"
    # of the account
    CREDENTIALS_REFUSED = "credentials_refused"
    ADDRESS_NOT_TRUSTED = "address_not_trusted"
    ACCOUNT_SUSPENDED = "account_suspended"
    BALANCE_EXHAUSTED = "balance_exhausted"
    ACCOUNT_MISCONFIGURED = "account_misconfigured"
    NO_ACCOUNT = "no_account"
    AVOIDED = "avoided"
    # of the moment
    THROTTLED = "throttled"
    QUOTA_EXHAUSTED = "quota_exhausted"
    WRONG_HOUR = "wrong_hour"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_ERROR = "provider_error"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    TIMED_OUT = "timed_out"
    UNRECOGNISED_ANSWER = "unrecognised_answer"
    # of receipts: why a message was not delivered
    CARRIER_BLOCKED = "carrier_blocked"
    NO_ROUTE = "no_route"
    NOT_DELIVERED = "not_delivered"
    NO_DELIVERY_IN_TIME = "no_delivery_in_time"
    NO_ACKNOWLEDGEMENT_IN_TIME = "no_acknowledgement_in_time"
    # of asking what became of a message
    NOT_TAKEN = "not_taken"
    UNRESOLVED = "unresolved"
    # of our own
    INTERRUPTED = "interrupted"
    GIVEN_UP = "given_up"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    EXPIRED = "expired"
    LOST_TRACK = "lost_track"
    TRIES_EXHAUSTED = "tries_exhausted"
    NOT_QUEUED = "not_queued"
    SCHEDULED = "scheduled"


class Blame(StrEnum):
    """Whose fault a failure is. Routing, health, fallback and failover follow from it."""

    RECIPIENT = "recipient"
    """The address, its mailbox, or the server behind it."""
    WISH = "wish"
    """The recipient, or somebody of ours, does not want it to be sent."""
    CONTENT = "content"
    ACCOUNT = "account"
    """Its login, sender, network address, quota or settings: someone must mend it, or another account take over."""
    NETWORK = "network"
    """The provider, or the way to it."""
    PACE = "pace"
    """Too much was sent in too short a time."""
    POLICY = "policy"
    """A rule of ours or of the provider's says when, where or how often."""
    CALLER = "caller"
    OURS = "ours"
    """The platform: it tells nothing of how an account took the message."""


_ABOUT: dict[Reason, tuple[Blame, str, str]] = {
    Reason.ADDRESS_INVALID: (Blame.RECIPIENT, "The address is not well formed.", "Correct the address and send again."),
    Reason.ADDRESS_UNKNOWN: (
        Blame.RECIPIENT,
        "The provider says that this recipient does not exist.",
        "Check the address with the recipient; remove it from your lists.",
    ),
    Reason.NOT_IN_TEAM_LIST: (
        Blame.CALLER,
        "A team key may send only to the recipients on its allow-list.",
        "Add the recipient to the key's allow-list, or use a live key.",
    ),
    Reason.RECIPIENT_OPTED_OUT: (
        Blame.WISH,
        "The recipient has opted out of messages from this sender.",
        "Do not send again unless the recipient opts in.",
    ),
    Reason.RECIPIENT_BLOCKED: (
        Blame.RECIPIENT,
        "The provider or the carrier blocks messages to this recipient.",
        "Ask the provider why, or reach the recipient through another channel.",
    ),
    Reason.RECIPIENT_LIMIT: (
        Blame.RECIPIENT,
        "The provider's limit of messages to one recipient is reached.",
        "Wait for the provider's window to pass, or raise the limit in its console.",
    ),
    Reason.REGION_NOT_ENABLED: (
        Blame.RECIPIENT,
        "The account may not send to the recipient's country or region.",
        "Enable the country or region in the provider's console.",
    ),
    Reason.COUNTRY_NOT_ALLOWED: (
        Blame.POLICY,
        "Texts to this number's country are not allowed. Until the settings name countries, they go to numbers of the "
        "tenant's own region only.",
        "Name all countries that texts may go to as `countries` in the settings, or leave the number out.",
    ),
    Reason.NUMBER_TAKES_NO_TEXTS: (
        Blame.RECIPIENT,
        "This is no mobile number: landlines, satellite telephones and numbers that charge extra get no texts.",
        "Give a mobile number, with + and the country code.",
    ),
    Reason.MAILBOX_FULL: (
        Blame.RECIPIENT,
        "The recipient's mailbox is full.",
        "Try again later or use another channel.",
    ),
    Reason.RECIPIENT_BUSY: (
        Blame.RECIPIENT,
        "The recipient's mail server wants a later try, as many do of senders that are new to them (greylisting).",
        "Nothing: the platform tries again by itself.",
    ),
    Reason.RECIPIENT_NOT_VERIFIED: (
        Blame.RECIPIENT,
        "The account is in the provider's sandbox, and this recipient is not verified there.",
        "Ask the provider for production access, or verify the recipient in its console for a trial.",
    ),
    Reason.RECIPIENT_UNREACHABLE: (
        Blame.RECIPIENT,
        "The recipient could not be reached: the phone was off, out of range or full, or the mail server did not "
        "answer for days.",
        "Try again later or use another channel.",
    ),
    Reason.NUMBER_SUSPENDED: (
        Blame.RECIPIENT,
        "The carrier has stopped this number, often for an unpaid bill.",
        "Ask the recipient for another number, or use another channel.",
    ),
    Reason.SUPPRESSED_BOUNCE: (
        Blame.RECIPIENT,
        "An earlier message to this recipient came back.",
        "Check the address; take it off the list with `mepush suppress remove` once it works.",
    ),
    Reason.SUPPRESSED_COMPLAINT: (
        Blame.WISH,
        "The recipient complained of an earlier message.",
        "Do not send again; take the recipient off the list only if they ask you to.",
    ),
    Reason.SUPPRESSED_UNSUBSCRIBE: (
        Blame.WISH,
        "The recipient unsubscribed.",
        "Do not send again; take the recipient off the list only if they ask you to.",
    ),
    Reason.SUPPRESSED_MANUAL: (
        Blame.WISH,
        "Somebody of yours put this recipient on the list.",
        "See who and why with `mepush suppress list`; `mepush suppress remove` takes the recipient off it.",
    ),
    Reason.SUPPRESSED_PROVIDER: (
        Blame.RECIPIENT,
        "The provider has this recipient on a suppression list of its own.",
        "Take the recipient off the provider's list, then off this one with `mepush suppress remove`.",
    ),
    Reason.RECALLED: (
        Blame.CALLER,
        "A caller recalled it: it is not tried any more.",
        "Nothing; send it anew if that was a mistake.",
    ),
    Reason.RECALL_REFUSED: (
        Blame.CALLER,
        "The provider does not take the message back: it is too old, or another account sent it.",
        "Nothing: the recipient has it.",
    ),
    Reason.KEY_LIMIT: (
        Blame.POLICY,
        "The API key has sent as many texts as it may on a day (UTC), to all numbers or to those abroad.",
        "Send it after midnight UTC; see whether the texts were wanted before you raise the limit of the key or of the "
        "settings.",
    ),
    Reason.QUIET_HOURS: (
        Blame.POLICY,
        "It was quiet at the recipient's.",
        "Nothing if it waits; else send it at another hour, or change the quiet hours of the template or its class.",
    ),
    Reason.DUPLICATE: (
        Blame.POLICY,
        "The same content of the same template went to this recipient a moment ago.",
        "Nothing if it was a mistake; else wait for the window to pass, or change the template's duplicate_seconds.",
    ),
    Reason.CAPPED: (
        Blame.POLICY,
        "The recipient has had as many messages of this class as the cap allows.",
        "Wait for the cap's window to pass, or raise the cap of the template or its class.",
    ),
    Reason.RATE_LIMITED: (
        Blame.PACE,
        "The account's rate was used up by messages before this one.",
        "Nothing if it waits; else raise the account's rate, add an account, or give it a longer time to live.",
    ),
    Reason.ERASED: (
        Blame.CALLER,
        "The recipient's data were erased while the message waited, so it was not sent any more.",
        "Nothing; nobody can tell any more whom it was for.",
    ),
    Reason.RUN_PAUSED: (
        Blame.CALLER,
        "Its campaign's run was paused.",
        "Resume the run, or cancel it: the message goes on, or ends, with the run.",
    ),
    Reason.RUN_CANCELLED: (
        Blame.CALLER,
        "Its campaign's run was cancelled or did not come to be.",
        "Nothing; start another run of the campaign if that was a mistake.",
    ),
    Reason.CONTENT_REFUSED: (
        Blame.CONTENT,
        "The provider refused the content, for example a forbidden word or link.",
        "Change the template's wording, then send again.",
    ),
    Reason.CONTENT_TOO_LONG: (
        Blame.CONTENT,
        "The rendered content is longer than the provider allows.",
        "Shorten the template or the variables.",
    ),
    Reason.CONTENT_INVALID: (
        Blame.CONTENT,
        "The content is not such as the provider can read.",
        "Check the template's fields and variables against the provider's rules.",
    ),
    Reason.CONTENT_BLOCKED: (
        Blame.CONTENT,
        "The message holds a word that the settings block.",
        "Change the template or the variables, or take the word off `blocked_words` in the settings.",
    ),
    Reason.TEMPLATE_REFUSED: (
        Blame.CONTENT,
        "The provider does not know or has not approved this template, or its parameters do not match.",
        "Check the template id, its approval and its parameters in the provider's console.",
    ),
    Reason.SENDER_REFUSED: (
        Blame.ACCOUNT,
        "The provider does not accept this sender or signature.",
        "Verify the sender address, domain or signature with the provider.",
    ),
    Reason.RENDERING_FAILED: (
        Blame.CONTENT,
        "The template could not be filled in with this recipient's variables.",
        "Preview the template with these variables and correct one or the other.",
    ),
    Reason.ATTACHMENT_GONE: (
        Blame.CONTENT,
        "A file that the message carries is not stored any more.",
        "Upload the file again and send the message anew; a redrive comes too late for it.",
    ),
    Reason.CREDENTIALS_REFUSED: (
        Blame.ACCOUNT,
        "The provider refused the account's credentials.",
        "Enter the right secret for the account, then verify the account.",
    ),
    Reason.ADDRESS_NOT_TRUSTED: (
        Blame.ACCOUNT,
        "The provider does not trust the network address that the platform calls from.",
        "Add the platform's outgoing address to the trusted ones in the provider's console, or have it taken off the "
        "blocklist that the answer names.",
    ),
    Reason.ACCOUNT_SUSPENDED: (
        Blame.ACCOUNT,
        "The provider has suspended or paused the account.",
        "Ask the provider; until then send through another account.",
    ),
    Reason.BALANCE_EXHAUSTED: (
        Blame.ACCOUNT,
        "The account's balance or package is used up.",
        "Top it up in the provider's console.",
    ),
    Reason.ACCOUNT_MISCONFIGURED: (
        Blame.ACCOUNT,
        "The account's settings do not fit the provider.",
        "Verify the account and correct the setting that it names.",
    ),
    Reason.NO_ACCOUNT: (
        Blame.OURS,
        "No active account of the template can send this message.",
        "Bind an active account to the template.",
    ),
    Reason.AVOIDED: (
        Blame.OURS,
        "The account had been found down a moment ago, so another one was asked.",
        "Nothing: it is asked again within half a minute.",
    ),
    Reason.THROTTLED: (Blame.PACE, "The provider asked to slow down.", "Nothing: the platform tries again by itself."),
    Reason.QUOTA_EXHAUSTED: (
        Blame.ACCOUNT,
        "The account's quota for the day or month is used up.",
        "Wait for the next window or raise the quota with the provider.",
    ),
    Reason.WRONG_HOUR: (
        Blame.POLICY,
        "The provider does not take this class of message at this hour.",
        "Send it in the hours that the provider allows.",
    ),
    Reason.PROVIDER_BUSY: (Blame.NETWORK, "The provider was busy.", "Nothing: the platform tries again by itself."),
    Reason.PROVIDER_ERROR: (
        Blame.NETWORK,
        "The provider failed in itself.",
        "Nothing now; look at the provider's status page if it lasts.",
    ),
    Reason.CONNECTION_FAILED: (
        Blame.NETWORK,
        "The provider could not be reached.",
        "Check the account's host and port if it lasts; the platform tries again by itself.",
    ),
    Reason.CONNECTION_LOST: (
        Blame.NETWORK,
        "The connection broke after the message had left, before an answer.",
        "Nothing: what may follow depends on the message's class.",
    ),
    Reason.TIMED_OUT: (
        Blame.NETWORK,
        "The provider did not answer in time.",
        "Nothing: what may follow depends on the message's class.",
    ),
    Reason.UNRECOGNISED_ANSWER: (
        Blame.NETWORK,
        "The provider answered with something the platform does not know.",
        "Report the raw code; the platform tries again, then keeps the message in the dead-letter queue.",
    ),
    Reason.CARRIER_BLOCKED: (
        Blame.NETWORK,
        "A carrier on the way blocked the message, often by rules of the recipient's province or country.",
        "Ask the provider about its code; send through another account if it lasts.",
    ),
    Reason.NO_ROUTE: (
        Blame.NETWORK,
        "The provider had no way to the recipient's network, as after a number has moved to another carrier.",
        "Ask the provider about its code; send through another account if it lasts.",
    ),
    Reason.NOT_DELIVERED: (
        Blame.NETWORK,
        "The provider reports that it did not deliver the message; its code says no more, or is not known here.",
        "Ask the provider about its code if many messages have it.",
    ),
    Reason.NO_DELIVERY_IN_TIME: (
        Blame.POLICY,
        "Nobody reported that it was delivered in the minutes that its template gives it.",
        "Nothing; give the template more minutes if many messages arrive after that.",
    ),
    Reason.NO_ACKNOWLEDGEMENT_IN_TIME: (
        Blame.POLICY,
        "Nobody acknowledged it in the minutes that its template gives it.",
        "Nothing; give the template more minutes if many are acknowledged after that.",
    ),
    Reason.NOT_TAKEN: (
        Blame.OURS,
        "The provider was asked what became of the message, and has no record of it: it never took it.",
        "Nothing: the platform tries again by itself.",
    ),
    Reason.UNRESOLVED: (
        Blame.OURS,
        "The provider was asked what became of the message, and could not tell for certain.",
        "Nothing: what may follow depends on the message's class.",
    ),
    Reason.INTERRUPTED: (
        Blame.OURS,
        "The function broke off while the provider was being asked: the message may or may not have been sent.",
        "Nothing now: what follows depends on the message's class.",
    ),
    Reason.GIVEN_UP: (
        Blame.OURS,
        "The queue handed the message out several times, and each time the function failed over it.",
        "Look for the cause in the log of the dispatch function, mend it, then redrive the message.",
    ),
    Reason.TOO_LARGE: (
        Blame.CONTENT,
        "The message had to wait, and is larger than the queues and schedules take in which it would.",
        "Send it anew with shorter variables, or redrive it when it need not wait.",
    ),
    Reason.UNREADABLE: (
        Blame.OURS,
        "What the queue held could not be read as messages, or not be worked on, and is kept as it was.",
        "See the logs of dispatch and of dead_letters; once the cause is mended, a redrive puts it back as it was.",
    ),
    Reason.EXPIRED: (
        Blame.OURS,
        "The message was still unsent at the end of its time to live.",
        "Send it anew if it still matters; give it a longer time to live.",
    ),
    Reason.LOST_TRACK: (
        Blame.OURS,
        "The time to live is over and nothing is recorded of the last try: the message may or may not have been sent.",
        "Ask the recipient or the provider if it matters; the platform does not send it again.",
    ),
    Reason.TRIES_EXHAUSTED: (
        Blame.OURS,
        "All tries of the message's class were used up.",
        "Look at the reason of the last try, mend it, then send the message again.",
    ),
    Reason.NOT_QUEUED: (
        Blame.OURS,
        "The message could not be put on its queue.",
        "Send the request again with the same Idempotency-Key.",
    ),
    Reason.SCHEDULED: (Blame.CALLER, "The message waits for its time.", "Nothing."),
}
"""Reason -> (who is to blame, what it means, what to do)."""

EXPLANATIONS: dict[Reason, tuple[str, str]] = {reason: about[1:] for reason, about in _ABOUT.items()}
"""Reason -> (what it means, what to do); in Chinese: `reasons_zh`."""

ACCOUNTS_OWN = frozenset(r for r, (blame, *_) in _ABOUT.items() if blame in (Blame.ACCOUNT, Blame.NETWORK))
"""Reasons that another account may not meet: they speak against the account, and the next try goes elsewhere."""


def blame_of(reason: str | None) -> Blame | None:
    """Who is to blame for a reason; None for no reason, or one of another time."""
    return _ABOUT[Reason(reason)][0] if reason and reason in Reason.__members__.values() else None
