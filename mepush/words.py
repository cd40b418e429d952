"""The platform's words and limits that the command itself must know; a test holds them equal to the platform's."""

from enum import StrEnum

MESSAGE_ID_LENGTH = 42
REQUEST_ID_LENGTH = 26
MAX_RECIPIENTS = 1000
"""Of a request."""
MAX_BODY_BYTES = 5_000_000
"""Of a request."""
MAX_FILE_BYTES = 7_000_000
"""Of a file that an email carries."""
FILE_ENDINGS = (".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".csv", ".txt", ".ics", ".docx", ".xlsx", ".pptx")
"""How the names of files end that an email may carry."""
FIRST_ZONE = "Pacific/Kiritimati"
"""Where it is any time of day first on earth: a schedule by recipients' own clocks starts its run then."""
NEEDED_SECRETS: dict[str, tuple[str, ...]] = {
    "tencent": ("secret_id", "secret_key"),
    "app": ("corp_secret",),
    "robot": ("key",),
}
"""What an account's secret must hold, by provider; of one that is not here, what the account's file names."""
CHANNEL_OF_TYPE: dict[str, str] = {
    "email": "email",
    "sms": "sms",
    "text": "wecom",
    "markdown": "wecom",
    "textcard": "wecom",
    "news": "wecom",
    "image": "wecom",
    "file": "wecom",
    "template_card": "wecom",
}
"""The channel of a template, by the type of its content."""


class Channel(StrEnum):
    """How a message reaches a person."""

    EMAIL = "email"
    SMS = "sms"
    WECOM = "wecom"


class MessageClass(StrEnum):
    """What a message is for."""

    VERIFICATION = "verification"
    NOTIFICATION = "notification"
    MARKETING = "marketing"


class KeyKind(StrEnum):
    """Whom an API key may reach: everyone, an allow-list, or nobody."""

    LIVE = "live"
    TEAM = "team"
    TEST = "test"


class Scope(StrEnum):
    """What an API key may do."""

    SEND = "send"
    READ = "read"
    MANAGE = "manage"
    OPERATE = "operate"
    UNMASK = "unmask"


class DeliveryState(StrEnum):
    """How far the delivery of an event to a webhook is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"


class SuppressionScope(StrEnum):
    """Which messages an entry of the suppression list stops."""

    ALL = "all"
    VERIFICATION = "verification"
    NOTIFICATION = "notification"
    MARKETING = "marketing"
    TRACKING = "tracking"


class SuppressionReason(StrEnum):
    """Why a recipient is on the suppression list."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"
    PROVIDER = "provider"


class LetterState(StrEnum):
    """Where a dead letter stands."""

    KEPT = "kept"
    REDRIVING = "redriving"
    REDRIVEN = "redriven"
    DISCARDING = "discarding"
    DISCARDED = "discarded"


class Who(StrEnum):
    """Those of whose message of another run something is known, or not."""

    FAILED = "failed"
    UNDELIVERED = "undelivered"
    NO_RECEIPT = "no_receipt"
    NOT_OPENED = "not_opened"
    NOT_CLICKED = "not_clicked"


class Duplicates(StrEnum):
    """What becomes of an address that stands more than once in a campaign's file."""

    FIRST = "first"
    EACH = "each"


class Overlap(StrEnum):
    """What becomes of a run that is due while the one before goes on."""

    SKIP = "skip"
    QUEUE = "queue"


class Reason(StrEnum):
    """Why a message did not arrive, or not yet; `docs/replies.md` and the API say what each means."""

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
    SUPPRESSED_BOUNCE = "suppressed_bounce"
    SUPPRESSED_COMPLAINT = "suppressed_complaint"
    SUPPRESSED_UNSUBSCRIBE = "suppressed_unsubscribe"
    SUPPRESSED_MANUAL = "suppressed_manual"
    SUPPRESSED_PROVIDER = "suppressed_provider"
    RECALLED = "recalled"
    RECALL_REFUSED = "recall_refused"
    KEY_LIMIT = "key_limit"
    ERASED = "erased"
    QUIET_HOURS = "quiet_hours"
    DUPLICATE = "duplicate"
    CAPPED = "capped"
    RATE_LIMITED = "rate_limited"
    RUN_PAUSED = "run_paused"
    RUN_CANCELLED = "run_cancelled"
    CONTENT_REFUSED = "content_refused"
    CONTENT_TOO_LONG = "content_too_long"
    CONTENT_INVALID = "content_invalid"
    CONTENT_BLOCKED = "content_blocked"
    TEMPLATE_REFUSED = "template_refused"
    SENDER_REFUSED = "sender_refused"
    RENDERING_FAILED = "rendering_failed"
    ATTACHMENT_GONE = "attachment_gone"
    CREDENTIALS_REFUSED = "credentials_refused"
    ADDRESS_NOT_TRUSTED = "address_not_trusted"
    ACCOUNT_SUSPENDED = "account_suspended"
    BALANCE_EXHAUSTED = "balance_exhausted"
    ACCOUNT_MISCONFIGURED = "account_misconfigured"
    NO_ACCOUNT = "no_account"
    AVOIDED = "avoided"
    THROTTLED = "throttled"
    QUOTA_EXHAUSTED = "quota_exhausted"
    WRONG_HOUR = "wrong_hour"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_ERROR = "provider_error"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_LOST = "connection_lost"
    TIMED_OUT = "timed_out"
    UNRECOGNISED_ANSWER = "unrecognised_answer"
    CARRIER_BLOCKED = "carrier_blocked"
    NO_ROUTE = "no_route"
    NOT_DELIVERED = "not_delivered"
    NO_DELIVERY_IN_TIME = "no_delivery_in_time"
    NO_ACKNOWLEDGEMENT_IN_TIME = "no_acknowledgement_in_time"
    NOT_TAKEN = "not_taken"
    UNRESOLVED = "unresolved"
    INTERRUPTED = "interrupted"
    GIVEN_UP = "given_up"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    EXPIRED = "expired"
    LOST_TRACK = "lost_track"
    TRIES_EXHAUSTED = "tries_exhausted"
    NOT_QUEUED = "not_queued"
    SCHEDULED = "scheduled"
